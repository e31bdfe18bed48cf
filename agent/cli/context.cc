#include "agent/cli/context.h"

#include <array>
#include <cstdio>

#include "platform/private_file.h"
#include "platform/trusted_file.h"

namespace countersign::agent {

Result<std::string> Context::SocketPath() const {
  if (!socket.empty()) return socket;
  CS_ASSIGN_OR_RETURN(const AgentConfig config,
                      LoadAgentConfig(config_path, config_given));
  return config.socket;
}

Result<Client> Context::Connect() const {
  CS_ASSIGN_OR_RETURN(const std::string path, SocketPath());
  return Client::Connect(path, kQuickTimeout);
}

Result<v1::Response> Context::Ask(v1::Request request,
                                  Client::Timeout timeout) const {
  CS_ASSIGN_OR_RETURN(Client client, Connect());
  return client.Call(std::move(request), timeout);
}

Result<std::string> SessionIdFrom(const std::string& text) {
  if (text.empty()) {
    return Fail(ErrorCode::kBadRequest,
                "no session: give --session, or run inside countersign run");
  }
  const auto id = FromHex(text);
  if (!id.has_value() || id->size() != 16) {
    return Fail(ErrorCode::kBadRequest, "a session id has 32 hex digits");
  }
  return AsString(*id);
}

Result<Bytes> ReadInput(const std::string& path, size_t max_bytes) {
  if (path != "-") return platform::ReadWholeFile(path, max_bytes);
  Bytes bytes;
  std::array<uint8_t, 16384> chunk{};
  while (const size_t got = std::fread(chunk.data(), 1, chunk.size(), stdin)) {
    if (got > max_bytes - bytes.size()) {
      return Fail(
          ErrorCode::kTooLarge,
          "standard input: at most " + std::to_string(max_bytes) + " bytes");
    }
    bytes.insert(bytes.end(), chunk.begin(),
                 chunk.begin() + static_cast<ptrdiff_t>(got));
  }
  if (std::ferror(stdin) != 0) {
    return Fail(ErrorCode::kIoError, "standard input cannot be read");
  }
  return bytes;
}

Status WriteOutput(const std::string& path, std::string_view bytes) {
  if (path != "-") return platform::WritePrivateFile(path, AsBytes(bytes));
  if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size() ||
      std::fflush(stdout) != 0) {
    return Fail(ErrorCode::kIoError, "standard output cannot be written");
  }
  return {};
}

Status CheckOutput(const std::string& path) {
  return path == "-" ? Status() : platform::CheckPrivateFile(path);
}

}  // namespace countersign::agent
