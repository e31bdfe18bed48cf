// libprotobuf writes to standard error what our parsers report as an Error.
#ifndef COUNTERSIGN_ATTEST_PROTO_SILENCE_H_
#define COUNTERSIGN_ATTEST_PROTO_SILENCE_H_

#include <google/protobuf/stubs/logging.h>

namespace countersign {

// Stops that: whoever sends bytes that are no message is answered, and writes
// no line into our log. Call it first thing in main.
inline void SilenceProtobufLog() { google::protobuf::SetLogHandler(nullptr); }

}  // namespace countersign

#endif  // COUNTERSIGN_ATTEST_PROTO_SILENCE_H_
