#include "platform/esys/tcti_link.h"

#include <tss2/tss2_tctildr.h>

#include <condition_variable>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "attest/base/big_endian.h"
#include "attest/base/text.h"
#include "platform/esys/device_access.h"

namespace countersign::platform {
namespace {

using std::chrono::milliseconds;
using Deadline = std::chrono::steady_clock::time_point;

constexpr size_t kHeaderSize = 10;
constexpr size_t kMaxResponse = 4096;
constexpr uint64_t kMagic = 0x636f756e74657273;

bool AsksToSendAgain(TSS2_RC rc) {
  return rc == TPM2_RC_RETRY || rc == TPM2_RC_YIELDED ||
         rc == TPM2_RC_TESTING || rc == TPM2_RC_NV_RATE;
}

struct ResponseHeader {
  uint16_t tag;
  uint32_t size;
  uint32_t rc;
};

ResponseHeader ReadHeader(ByteSpan response) {
  BigEndianReader reader(response);
  const uint16_t tag = reader.U16();
  const uint32_t size = reader.U32();
  return {tag, size, reader.U32()};
}

}  // namespace

// The thread with the real TCTI. It shares this state with the link, and
// outlives it when it is stuck in a call.
struct TctiLink::Worker {
  enum class Phase { kOpening, kIdle, kCommand, kAnswer, kClosing };

  explicit Worker(std::string conf) : tcti(std::move(conf)) {}

  void Run();
  void Serve(TSS2_TCTI_CONTEXT* device);
  static TSS2_RC Talk(TSS2_TCTI_CONTEXT* device, ByteSpan command,
                      Bytes* response);

  const std::string tcti;
  std::mutex mutex;
  std::condition_variable changed;
  Phase phase = Phase::kOpening;
  Bytes message;  // The command, then its response.
  TSS2_RC rc = TSS2_RC_SUCCESS;
};

void TctiLink::Worker::Run() {
  TSS2_TCTI_CONTEXT* device = nullptr;
  const TSS2_RC opened = Tss2_TctiLdr_Initialize(tcti.c_str(), &device);
  {
    const std::lock_guard lock(mutex);
    rc = opened;
    if (phase == Phase::kOpening) phase = Phase::kIdle;
  }
  changed.notify_all();
  if (opened != TSS2_RC_SUCCESS) return;
  Serve(device);
  Tss2_TctiLdr_Finalize(&device);
}

void TctiLink::Worker::Serve(TSS2_TCTI_CONTEXT* device) {
  std::unique_lock lock(mutex);
  while (true) {
    changed.wait(lock, [this] {
      return phase == Phase::kCommand || phase == Phase::kClosing;
    });
    if (phase == Phase::kClosing) return;
    const Bytes command = std::exchange(message, {});
    lock.unlock();
    Bytes response;
    const TSS2_RC result = Talk(device, command, &response);
    lock.lock();
    message = std::move(response);
    rc = result;
    if (phase == Phase::kCommand) phase = Phase::kAnswer;
    changed.notify_all();
  }
}

TSS2_RC TctiLink::Worker::Talk(TSS2_TCTI_CONTEXT* device, ByteSpan command,
                               Bytes* response) {
  TSS2_RC rc = Tss2_Tcti_Transmit(device, command.size(), command.data());
  if (rc != TSS2_RC_SUCCESS) return rc;
  response->resize(kMaxResponse);
  size_t size = response->size();
  do {
    rc = Tss2_Tcti_Receive(device, &size, response->data(),
                           TSS2_TCTI_TIMEOUT_BLOCK);
  } while (rc == TSS2_TCTI_RC_TRY_AGAIN);
  response->resize(rc == TSS2_RC_SUCCESS ? size : 0);
  return rc;
}

// What ESYS calls, in the layout that the TCTI specification gives it.
struct TctiLink::Context {
  TSS2_TCTI_CONTEXT_COMMON_V1 common;
  TctiLink* link;

  static TctiLink& Link(TSS2_TCTI_CONTEXT* context) {
    return *reinterpret_cast<Context*>(context)->link;
  }
  static TSS2_RC Transmit(TSS2_TCTI_CONTEXT* context, size_t size,
                          const uint8_t* command) {
    return Link(context).Transmit({command, size});
  }
  static TSS2_RC Receive(TSS2_TCTI_CONTEXT* context, size_t* size,
                         uint8_t* response, int32_t) {
    return Link(context).Receive(size, response);
  }
};

Result<std::unique_ptr<TctiLink>> TctiLink::Open(const std::string& tcti,
                                                 Milliseconds deadline,
                                                 std::weak_ptr<void>& stuck) {
  if (!stuck.expired()) {
    return Fail(ErrorCode::kTpmTimeout,
                "the TPM still has not answered an earlier command");
  }
  auto worker = std::make_shared<Worker>(tcti);
  std::unique_ptr<TctiLink> link(new TctiLink(worker, deadline, stuck));
  try {
    std::thread([worker] { worker->Run(); }).detach();
  } catch (const std::system_error& error) {
    return Fail(ErrorCode::kBusy, error.what());
  }
  std::unique_lock lock(worker->mutex);
  const bool opened = worker->changed.wait_for(
      lock, deadline, [&] { return worker->phase != Worker::Phase::kOpening; });
  if (!opened) {
    stuck = worker;
    return Fail(ErrorCode::kTpmTimeout, "connecting to " + Printable(tcti));
  }
  if (worker->rc != TSS2_RC_SUCCESS) {
    return tl::unexpected<Error>(WhyNotOpened(tcti));
  }
  return link;
}

TctiLink::TctiLink(std::shared_ptr<Worker> worker, Milliseconds deadline,
                   std::weak_ptr<void>& stuck)
    : worker_(std::move(worker)),
      context_(std::make_unique<Context>()),
      stuck_(stuck),
      deadline_(deadline) {
  context_->common = {};
  context_->common.magic = kMagic;
  context_->common.version = 1;
  context_->common.transmit = Context::Transmit;
  context_->common.receive = Context::Receive;
  context_->link = this;
}

TctiLink::~TctiLink() {
  {
    const std::lock_guard lock(worker_->mutex);
    worker_->phase = Worker::Phase::kClosing;
  }
  worker_->changed.notify_all();
}

TSS2_TCTI_CONTEXT* TctiLink::context() {
  return reinterpret_cast<TSS2_TCTI_CONTEXT*>(context_.get());
}

TSS2_RC TctiLink::Transmit(ByteSpan command) {
  if (failure_.has_value()) return TSS2_TCTI_RC_IO_ERROR;
  if (command.size() < kHeaderSize) return TSS2_TCTI_RC_BAD_VALUE;
  command_ = ToBytes(command);
  response_.reset();
  return TSS2_RC_SUCCESS;
}

// The whole exchange happens here: ESYS asks for an answer right after every
// command, and so there is one deadline for both.
TSS2_RC TctiLink::Receive(size_t* size, uint8_t* response) {
  if (!response_.has_value()) {
    if (failure_.has_value()) return TSS2_TCTI_RC_IO_ERROR;
    Result<Bytes> answer = Exchange(command_);
    if (!answer.has_value()) {
      return answer.error().code == ErrorCode::kTpmProtocolError
                 ? TSS2_TCTI_RC_MALFORMED_RESPONSE
                 : TSS2_TCTI_RC_IO_ERROR;
    }
    response_ = *std::move(answer);
  }
  if (response == nullptr) {
    *size = response_->size();
    return TSS2_RC_SUCCESS;
  }
  if (*size < response_->size()) return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
  *size = response_->size();
  std::memcpy(response, response_->data(), response_->size());
  response_.reset();
  return TSS2_RC_SUCCESS;
}

Result<Bytes> TctiLink::Exchange(ByteSpan command) {
  const Deadline end = std::chrono::steady_clock::now() + deadline_;
  milliseconds pause{5};
  while (true) {
    CS_ASSIGN_OR_RETURN(Bytes answer, ExchangeOnce(command, end));
    if (!AsksToSendAgain(ReadHeader(answer).rc)) {
      NoteHandles(command, answer);
      return answer;
    }
    if (std::chrono::steady_clock::now() + pause >= end) {
      return Refuse(
          ErrorCode::kTpmRetry,
          "still not ready after " + std::to_string(deadline_.count()) + " ms");
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, milliseconds{500});
  }
}

Result<Bytes> TctiLink::ExchangeOnce(ByteSpan command, Deadline end) {
  std::unique_lock lock(worker_->mutex);
  worker_->message = ToBytes(command);
  worker_->phase = Worker::Phase::kCommand;
  worker_->changed.notify_all();
  const bool answered = worker_->changed.wait_until(
      lock, end, [this] { return worker_->phase == Worker::Phase::kAnswer; });
  if (!answered) {
    stuck_ = worker_;
    return Refuse(
        ErrorCode::kTpmTimeout,
        "no answer within " + std::to_string(deadline_.count()) + " ms");
  }
  worker_->phase = Worker::Phase::kIdle;
  Bytes answer = std::exchange(worker_->message, {});
  if (worker_->rc != TSS2_RC_SUCCESS) {
    return Refuse(ErrorCode::kTpmUnavailable, "the connection to it broke");
  }
  const ResponseHeader header = ReadHeader(answer);
  const bool known_tag =
      header.tag == TPM2_ST_NO_SESSIONS || header.tag == TPM2_ST_SESSIONS;
  if (answer.size() < kHeaderSize || header.size != answer.size() ||
      !known_tag) {
    return Refuse(ErrorCode::kTpmProtocolError,
                  "an answer of " + std::to_string(answer.size()) +
                      " bytes has no valid header");
  }
  return answer;
}

tl::unexpected<Error> TctiLink::Refuse(ErrorCode code, std::string detail) {
  failure_ = Error{code, detail};
  return Fail(code, std::move(detail));
}

void TctiLink::NoteHandles(ByteSpan command, ByteSpan response) {
  if (ReadHeader(response).rc != TSS2_RC_SUCCESS) return;
  BigEndianReader sent(command.subspan(6));
  BigEndianReader received(response.subspan(kHeaderSize));
  switch (sent.U32()) {
    case TPM2_CC_StartAuthSession:
    case TPM2_CC_CreatePrimary:
    case TPM2_CC_Load:
    case TPM2_CC_LoadExternal:
    case TPM2_CC_ContextLoad:
      loaded_.insert(received.U32());
      break;
    case TPM2_CC_FlushContext:
      loaded_.erase(sent.U32());
      break;
    default:
      break;
  }
}

}  // namespace countersign::platform
