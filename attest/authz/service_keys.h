// The service's two private keys, from the files that `init` made.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_SERVICE_KEYS_H_
#define COUNTERSIGN_ATTEST_AUTHZ_SERVICE_KEYS_H_

#include "attest/authz/config.h"
#include "attest/jose/es256.h"
#include "attest/ledger/note.h"

namespace countersign::authz {

struct ServiceKeys {
  jose::Es256Key service;    // Answers, records, grants, receipts.
  ledger::LedgerKey ledger;  // Checkpoints.
};

//   kUnsafePath     a key file that others than its owner may read or write,
//                   or that is not a plain file
//   kConfigInvalid  not a key of its kind
[[nodiscard]] Result<ServiceKeys> LoadServiceKeys(const Config& config);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_SERVICE_KEYS_H_
