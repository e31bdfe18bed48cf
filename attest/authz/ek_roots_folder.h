// The folder of TPM manufacturers' certificates and revocation lists.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_EK_ROOTS_FOLDER_H_
#define COUNTERSIGN_ATTEST_AUTHZ_EK_ROOTS_FOLDER_H_

#include <string>
#include <vector>

#include "attest/base/bytes.h"
#include "attest/base/result.h"

namespace countersign::authz {

struct EkRootsFolder {
  std::vector<Bytes> roots;             // DER, from *.pem.
  std::vector<Bytes> revocation_lists;  // DER, from *.crl.
};

// Reads `folder`, which its operator fills; other names are ignored:
//   *.pem  one or more certificates, at most 1 MiB
//   *.crl  one list in DER, or one or more in PEM, at most 16 MiB
// kConfigInvalid with "path:1: what" for a file in which anything does not
// parse, for more than 1000 files, and if the folder cannot be read.
// kUnsafePath if others can change the folder or a file in it.
[[nodiscard]] Result<EkRootsFolder> ReadEkRootsFolder(
    const std::string& folder);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_EK_ROOTS_FOLDER_H_
