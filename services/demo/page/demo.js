const events = new EventSource("/demo/events");
events.addEventListener("state", (event) => {
  document.getElementById("events").textContent = JSON.parse(event.data).events;
});
