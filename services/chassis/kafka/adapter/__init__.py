"""The one place that subclasses or replaces internals of FastStream and aiokafka (ADR 0003).

Each module, and the fault that its override prevents:

`any_headers`     aiokafka raises for ever at a header whose name is not UTF-8, and loses what it fetched of other
                  partitions.
`fetching`        FastStream's fetch sleeps after an empty answer. aiokafka's fetcher asks for other partitions before
                  the last answer is read to its end, and then holds back a partition that is behind.
`acknowledging`   aiokafka's bare commit confirms records that no handler has seen. A commit for each batch is a third
                  of Kafka's work.
`subscriber`      FastStream's parser skips a whole batch because of one bad header. Its default policy confirms before
                  the handler has run, and `ACK` confirms what failed.

Where another version of a library lacks what is replaced, the process stops at its start.
"""
