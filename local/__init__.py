"""The embedded servers of start.py and of the tests: Apache Kafka and Redis, from nothing but pip packages."""
