// Typed statements: the exact bytes that a TPM quotes, and their digest.
//
// Protobuf has no canonical form, so what was hashed travels as bytes and is
// never serialised again to be checked. The type is part of the hash: bytes
// made for one purpose never verify for another.
//
//   PAE(type, body) = "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body
//   digest          = SHA-256(PAE(type, body))      LEN in ASCII decimal
//
// DSSE v1.0.2, protocol.md, "Signature Definition". Pure and thread-safe.
#ifndef COUNTERSIGN_ATTEST_STATEMENT_STATEMENT_H_
#define COUNTERSIGN_ATTEST_STATEMENT_STATEMENT_H_

#include <google/protobuf/message.h>

#include <optional>
#include <string_view>

#include "attest/base/bytes.h"
#include "attest/statement/limits.h"

namespace countersign::statement {

enum class StatementType {
  kEnrollment,
  kLogin,
  kSessionBinding,
  kActionRequest,
  kAction,
  kActionBatch,
  kLedgerEntry,
};

// "application/vnd.countersign.NAME.v1+protobuf". An endpoint accepts exactly
// one type; compare with TypeUri(…) rather than parse, where one is expected.
[[nodiscard]] std::string_view TypeUri(StatementType type);
[[nodiscard]] std::optional<StatementType> StatementTypeFromUri(
    std::string_view uri);

[[nodiscard]] Bytes Pae(std::string_view type_uri, ByteSpan body);

// SHA-256(Pae(TypeUri(type), body)), without making that copy.
[[nodiscard]] Sha256Digest StatementDigest(StatementType type, ByteSpan body);

// The one encoding of `message`: fields in order, defaults left out. Only the
// author of a statement calls this; a receiver keeps the bytes it was sent.
[[nodiscard]] Bytes SerializeStatement(
    const google::protobuf::MessageLite& message);

// Fills `message` from hostile `body`. Trust nothing in it until the signature
// over the digest of these same bytes holds. Checks, in order:
//   kTooLarge            longer than `max_size`
//   kMalformedStatement  not protobuf, or text that is not UTF-8
//   kNonCanonical        unknown fields, or not the bytes that
//                        SerializeStatement makes: two parsers could differ
[[nodiscard]] Status ParseStatementInto(ByteSpan body, size_t max_size,
                                        google::protobuf::Message& message);

template <typename M>
[[nodiscard]] Result<M> ParseStatement(ByteSpan body, size_t max_size) {
  M message;
  CS_RETURN_IF_ERROR(ParseStatementInto(body, max_size, message));
  return message;
}

}  // namespace countersign::statement

#endif  // COUNTERSIGN_ATTEST_STATEMENT_STATEMENT_H_
