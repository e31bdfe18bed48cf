// What a TPM says of itself.
#ifndef COUNTERSIGN_PLATFORM_ESYS_TPM_INFO_H_
#define COUNTERSIGN_PLATFORM_ESYS_TPM_INFO_H_

#include "platform/esys/esys_connection.h"
#include "platform/tpm.h"

namespace countersign::platform {

[[nodiscard]] Result<TpmInfo> ReadTpmInfo(EsysConnection& connection);

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_ESYS_TPM_INFO_H_
