// Reads small files whose contents decide something.
#ifndef COUNTERSIGN_PLATFORM_TRUSTED_FILE_H_
#define COUNTERSIGN_PLATFORM_TRUSTED_FILE_H_

#include <string>

#include "attest/base/bytes.h"
#include "attest/base/result.h"
#include "platform/handle.h"

namespace countersign::platform {

// A whole configuration or key file. The checks are made on the open file, in
// this order; every detail names `path` and what is wrong with it:
//   kNotFound    there is none
//   kUnsafePath  a symbolic link, not a regular file, owned by neither root
//                nor this account, or writable by group or others
//   kTooLarge    over `max_bytes`
//   kIoError     may not be read
[[nodiscard]] Result<Bytes> ReadTrustedFile(const std::string& path,
                                            size_t max_bytes);

// The same checks but for the size, and the open file: for what is read piece
// by piece.
[[nodiscard]] Result<OwnedHandle> OpenTrustedFile(const std::string& path);

// The same without the checks on owner and mode: for what the kernel shows
// (the boot event log), and files that a person named on the command line.
// Blocks on no FIFO: only regular files are read, and links to them;
// kNotAFile.
[[nodiscard]] Result<Bytes> ReadWholeFile(const std::string& path,
                                          size_t max_bytes);

// Who may run a program file: its identity, if nobody but root or this account
// can change it. Same errors as ReadTrustedFile, without reading.
struct FileIdentity {
  uint64_t device = 0;
  uint64_t inode = 0;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};
[[nodiscard]] Result<FileIdentity> TrustedProgram(const std::string& path);

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_TRUSTED_FILE_H_
