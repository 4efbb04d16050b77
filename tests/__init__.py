"""The tests, and the test-bed of real parts that they run on."""
