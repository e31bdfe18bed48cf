#include "attest/authz/ek_admission.h"

#include <algorithm>
#include <sstream>

#include "attest/authz/ek_roots_folder.h"
#include "attest/authz/files.h"
#include "attest/base/digest.h"

namespace countersign::authz {
namespace {

constexpr size_t kMaxAllowList = 16 * 1024 * 1024;

Result<std::set<Sha256Digest>> ReadAllowList(const std::string& path) {
  std::set<Sha256Digest> listed;
  const Result<std::string> text = ReadTrustedFile(path, kMaxAllowList);
  if (!text && text.error().code == ErrorCode::kNotFound) return listed;
  if (!text) return tl::unexpected<Error>(text.error());
  std::istringstream lines(*text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    // Anything after the digest is a remark.
    const std::string hex = line.substr(0, line.find_first_of(" \t\r#"));
    if (hex.empty()) continue;
    const auto bytes = FromHex(hex);
    if (!bytes || bytes->size() != sizeof(Sha256Digest)) {
      return Fail(ErrorCode::kConfigInvalid,
                  path + ":" + std::to_string(number) +
                      ": must be the hex SHA-256 of an EK public area");
    }
    Sha256Digest digest;
    std::ranges::copy(*bytes, digest.begin());
    listed.insert(digest);
  }
  return listed;
}

}  // namespace

std::string_view EkClassOf(std::string_view manufacturer) {
  // TCG Vendor ID Registry; "id:" and the four characters in hex.
  struct Vendor {
    std::string_view id;
    std::string_view ek_class;
  };
  static constexpr Vendor kVendors[] = {
      {"id:414D4400", "firmware"},  // AMD fTPM
      {"id:494E5443", "firmware"},  // Intel PTT
      {"id:51434F4D", "firmware"},  // Qualcomm
      {"id:4D534654", "firmware"},  // Microsoft (Pluton)
      {"id:534D534E", "firmware"},  // Samsung
      {"id:49465800", "hardware"},  // Infineon
      {"id:4E544300", "hardware"},  // Nuvoton
      {"id:53544D20", "hardware"},  // STMicroelectronics
      {"id:41544D4C", "hardware"},  // Atmel
      {"id:4E534700", "hardware"},  // NSING
      {"id:4E545A00", "hardware"},  // Nationz
      {"id:57454300", "hardware"},  // Winbond
      {"id:49424D00", "virtual"},   // IBM software TPM
      {"id:00001014", "virtual"},   // swtpm
      {"id:474F4F47", "virtual"},   // Google Cloud vTPM
      {"id:414D5A4E", "virtual"},   // Amazon NitroTPM
      {"id:564D5700", "virtual"},   // VMware
  };
  for (const Vendor& vendor : kVendors) {
    if (vendor.id == manufacturer) return vendor.ek_class;
  }
  return "unknown";
}

Result<EkAdmission> EkAdmission::Load(const EnrollmentConfig& config) {
  EkAdmission admission;
  admission.policy_ = config.ek_policy;
  CS_ASSIGN_OR_RETURN(const EkRootsFolder folder,
                      ReadEkRootsFolder(config.ek_roots));
  CS_ASSIGN_OR_RETURN(
      admission.trust_,
      verifier::EkTrust::FromDer(folder.roots, folder.revocation_lists));
  CS_ASSIGN_OR_RETURN(admission.roots_,
                      verifier::EkTrust::FromDer(folder.roots, {}));
  CS_ASSIGN_OR_RETURN(admission.allow_list_,
                      ReadAllowList(config.ek_allowlist));
  return admission;
}

Result<EkJudgement> EkAdmission::Judge(const tpm::PublicArea& ek,
                                       std::span<const Bytes> certificates,
                                       int64_t now_ms) const {
  EkJudgement judgement;
  judgement.ek_class = "unknown";
  judgement.allow_listed = allow_list_.contains(Sha256(ek.bytes()));
  const auto chain = verifier::VerifyEkChain(ek, certificates, trust_, now_ms);
  if (chain) {
    judgement.identity = *chain;
    judgement.ek_class = EkClassOf(chain->manufacturer);
    judgement.trust = judgement.allow_listed ? "allowlist" : "certificate";
  }
  if (judgement.allow_listed) {
    judgement.trust = "allowlist";
    return judgement;
  }
  switch (policy_) {
    case EkPolicy::kAllowlist:
      return Fail(ErrorCode::kEkNotTrusted, "the EK is not on the allow-list");
    case EkPolicy::kCertificate:
      if (!chain) return tl::unexpected<Error>(chain.error());
      return judgement;
    case EkPolicy::kFirstUse:
      break;
  }
  // Without a certificate, or with one of a manufacturer that nobody here
  // knows; one that is wrong in itself is refused all the same.
  if (!chain && chain.error().code != ErrorCode::kEkCertMissing &&
      chain.error().code != ErrorCode::kEkCertUntrusted) {
    return tl::unexpected<Error>(chain.error());
  }
  if (!chain) judgement.trust = "first-use";
  return judgement;
}

}  // namespace countersign::authz
