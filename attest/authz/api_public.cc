// The endpoints for administrators, auditors and everybody.
#include <charconv>

#include "attest/authz/api.h"
#include "attest/authz/device_json.h"
#include "attest/authz/revocation.h"
#include "attest/authz/tokens.h"
#include "attest/base/text.h"
#include "attest/jose/jwk_set.h"
#include "attest/statement/statement.h"

namespace countersign::authz {
namespace {

constexpr size_t kDeviceIdSize = 16;
constexpr int kDefaultPage = 100;
constexpr int kMaxPage = 1000;
constexpr char kImmutable[] = "public, max-age=31536000, immutable";

Result<Bytes> DeviceId(std::string_view hex) {
  auto id = FromHex(hex);
  if (!id || id->size() != kDeviceIdSize) {
    return Fail(ErrorCode::kBadRequest, "device id: 32 hex digits");
  }
  return id;
}

struct Page {
  Bytes after;
  int limit = kDefaultPage;
};

// "after=<device id>&limit=<1 to 1000>", each at most once.
Result<Page> PageOf(std::string_view query) {
  Page page;
  bool limited = false;
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (pair.starts_with("after=") && page.after.empty()) {
      CS_ASSIGN_OR_RETURN(page.after, DeviceId(pair.substr(6)));
    } else if (pair.starts_with("limit=") && !limited) {
      const std::string_view digits = pair.substr(6);
      const auto [end, error] = std::from_chars(
          digits.data(), digits.data() + digits.size(), page.limit);
      if (error != std::errc() || end != digits.data() + digits.size() ||
          page.limit < 1 || page.limit > kMaxPage) {
        return Fail(ErrorCode::kBadRequest, "limit: 1 to 1000");
      }
      limited = true;
    } else {
      return Fail(ErrorCode::kBadRequest, "query: after and limit only");
    }
  }
  return page;
}

Response NotFound() { return ProblemResponse({ErrorCode::kNotFound, {}}); }

}  // namespace

Response Api::GetDevices(const Request& request) {
  const Result<Page> page = PageOf(request.query);
  if (!page) return ProblemResponse(page.error());
  JsonWriter json;
  const auto list = [&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(auto rows, view.ListDevices(page->after, page->limit));
    json.BeginObject().BeginArray("devices");
    const bool full = static_cast<int>(rows.size()) == page->limit;
    const std::string last = rows.empty() ? "" : ToHex(rows.back().id);
    for (DeviceRow& row : rows) {
      CS_ASSIGN_OR_RETURN(const DeviceView device,
                          ViewOf(view, std::move(row)));
      WriteDevice(json, device);
    }
    json.EndArray();
    if (full) json.String("next_after", last);
    json.EndObject();
    return {};
  };
  if (const Status listed = service_.store.Read(list); !listed) {
    return ProblemResponse(listed.error());
  }
  return JsonResponse(std::move(json).text());
}

Response Api::GetDevice(std::string_view id) {
  JsonWriter json;
  const auto show = [&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(const Bytes device_id, DeviceId(id));
    CS_ASSIGN_OR_RETURN(auto row, view.FindDevice(device_id));
    if (!row) return Fail(ErrorCode::kNotFound);
    CS_ASSIGN_OR_RETURN(const DeviceView device, ViewOf(view, *std::move(row)));
    WriteDevice(json, device);
    return {};
  };
  if (const Status shown = service_.store.Read(show); !shown) {
    return ProblemResponse(shown.error());
  }
  return JsonResponse(std::move(json).text());
}

Response Api::PostRevoke(const Request& request, std::string_view id) {
  const Result<Bytes> device_id = DeviceId(id);
  if (!device_id) return ProblemResponse(device_id.error());
  // Authenticated above, so only who it was is left to say.
  const auto key = AdminTokenKey(request.authorization);
  if (!key) return ProblemResponse(key.error());
  const auto index =
      RevokeDevice(service_.store, service_.ledger, service_.clock, *device_id,
                   "admin token " + TokenId(*key));
  if (!index && index.error().code == ErrorCode::kDeviceUnknown) {
    return NotFound();
  }
  if (!index) return ProblemResponse(index.error());
  JsonWriter json;
  json.BeginObject()
      .String("device_id", id)
      .String("state", "revoked")
      .Int("revoked_index", static_cast<int64_t>(*index))
      .EndObject();
  return JsonResponse(std::move(json).text());
}

Response Api::GetKeys() const {
  // Pinned by agents, and the one that signs what they present to others.
  jose::KeySet keys = service_.issuer.keys();
  keys.Add(service_.key.public_key());
  Response response = JsonResponse(keys.ToJson());
  response.cache_control = "public, max-age=300";
  return response;
}

Response Api::GetCheckpoint() {
  std::optional<CheckpointRow> checkpoint;
  const auto read = [&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(checkpoint, view.NewestCheckpoint());
    return {};
  };
  const Status status = service_.store.Read(read);
  if (!status) return ProblemResponse(status.error());
  if (!checkpoint) return NotFound();
  Response response;
  response.content_type = "text/plain; charset=utf-8";
  response.body = checkpoint->note;
  return response;
}

Response Api::GetTile(std::string_view path) {
  const auto tile = ledger::ParseTilePath("tile/" + std::string(path));
  if (!tile) return NotFound();
  Bytes data;
  const auto read = [&](StoreView& view) -> Status {
    // Only what a checkpoint covers is published.
    CS_ASSIGN_OR_RETURN(const auto checkpoint, view.NewestCheckpoint());
    const uint64_t size = checkpoint ? checkpoint->size : 0;
    if (ledger::TileWidthAt(tile->id, size) < tile->width) {
      return Fail(ErrorCode::kNotFound);
    }
    if (tile->id.level != ledger::kEntries) {
      CS_ASSIGN_OR_RETURN(data,
                          StoredTiles(view).ReadTile(tile->id, tile->width));
      data.resize(static_cast<size_t>(tile->width) * sizeof(Sha256Digest));
      return {};
    }
    CS_ASSIGN_OR_RETURN(std::vector<Bytes> entries,
                        view.LedgerEntries(tile->id.index * ledger::kTileWidth,
                                           static_cast<uint64_t>(tile->width)));
    for (Bytes& entry : entries) {
      entry = statement::Pae(
          statement::TypeUri(statement::StatementType::kLedgerEntry), entry);
    }
    CS_ASSIGN_OR_RETURN(data, ledger::EncodeEntryBundle(entries));
    return {};
  };
  const Status status = service_.store.Read(read);
  if (!status) return ProblemResponse(status.error());
  Response response;
  response.content_type = "application/octet-stream";
  response.body = AsString(data);
  response.cache_control = kImmutable;
  return response;
}

Response Api::GetHealth() {
  const Status alive = service_.store.Read([](StoreView& view) -> Status {
    CS_RETURN_IF_ERROR(view.LedgerHead());
    return {};
  });
  if (!alive) return Refusal(503);
  return JsonResponse(R"({"status":"ok"})");
}

}  // namespace countersign::authz
