"""Two real servers as child processes: PostgreSQL 18 and Apache Kafka 4.3, for the demo and the tests."""
