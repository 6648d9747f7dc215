// The newest comments come from the survey service, which owns them; without it the link in their place stays.
import { showComments } from "./comments.js";

const place = document.getElementById("comments");
if (place) showComments(place, () => place.dataset.from);
