#include "CXrootd.h"

#include <XProtocol/XProtocol.hh>
#include <XrdCl/XrdClDefaultEnv.hh>
#include <XrdCl/XrdClFile.hh>
#include <XrdCl/XrdClFileSystem.hh>
#include <XrdCl/XrdClXRootDResponses.hh>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <vector>

namespace {

// What is one for the whole process here (settings, buffers, the closing thread, servers' limits) is so because XrdCl's
// environment and connections are.

void configure() {
  static std::once_flag once;
  std::call_once(once, [] {
    // Deadlines of seconds need a watch of seconds; a dead host must not cost ten minutes, nor be avoided for half an
    // hour after it is back: who is tried when is decided elsewhere.
    auto *env = XrdCl::DefaultEnv::GetEnv();
    env->PutInt("TimeoutResolution", 1);
    env->PutInt("ConnectionWindow", 10);
    env->PutInt("ConnectionRetry", 1);
    env->PutInt("StreamErrorWindow", 1);
    env->PutInt("StreamTimeout", 30);
    env->PutInt("MetalinkProcessing", 0);
  });
}

void report(const std::string &text, char *error, size_t size) {
  if (!error || size == 0) return;
  std::strncpy(error, text.c_str(), size - 1);
  error[size - 1] = 0;
}

int classify(const XrdCl::XRootDStatus &status) {
  if (status.code == XrdCl::errErrorResponse || status.code == XrdCl::errRedirect) {
    switch (status.errNo) {
      case kXR_NotFound:
      case kXR_NotFile:
        return CXR_NOT_FOUND;
      case kXR_NotAuthorized:
      case kXR_AuthFailed:
        return CXR_DENIED;
      case kXR_Unsupported:
      case kXR_InvalidRequest:
      case kXR_ArgTooLong:
      case kXR_ArgInvalid:
        return CXR_UNSUPPORTED;
      default:
        return CXR_ERROR;
    }
  }
  switch (status.code) {
    case XrdCl::errConnectionError:
    case XrdCl::errSocketError:
    case XrdCl::errInvalidAddr:
    case XrdCl::errStreamDisconnect:
    case XrdCl::errTlsError:
      return CXR_UNREACHABLE;
    case XrdCl::errOperationExpired:
    case XrdCl::errSocketTimeout:
      return CXR_DEADLINE;
    case XrdCl::errAuthFailed:
      return CXR_DENIED;
    case XrdCl::errNotSupported:
      return CXR_UNSUPPORTED;
    default:
      return CXR_ERROR;
  }
}

// Buffers that were used once: fresh memory costs a page fault for every four kilobytes.
class Buffers {
 public:
  struct Held {
    std::unique_ptr<uint8_t[]> bytes;
    size_t capacity = 0;
  };

  static Buffers &shared() {
    static Buffers *buffers = new Buffers();
    return *buffers;
  }

  Held take(size_t size) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      for (auto held = free_.begin(); held != free_.end(); ++held) {
        if (held->capacity >= size && held->capacity / 4 <= size) {
          Held found = std::move(*held);
          bytes_ -= found.capacity;
          free_.erase(held);
          return found;
        }
      }
    }
    Held fresh;
    fresh.bytes.reset(new (std::nothrow) uint8_t[size ? size : 1]);
    fresh.capacity = fresh.bytes ? size : 0;
    return fresh;
  }

  void give(Held held) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!held.bytes || bytes_ + held.capacity > kMaxBytes) return;
    bytes_ += held.capacity;
    free_.push_back(std::move(held));
  }

 private:
  static constexpr size_t kMaxBytes = 48 << 20;
  std::mutex mutex_;
  std::vector<Held> free_;
  size_t bytes_ = 0;
};

// Files are closed and destroyed on a thread of their own: XrdCl's threads must not wait for themselves, nor a caller
// for a server that does not answer.
class Closer {
 public:
  static void retire(XrdCl::File *file) {
    static Closer *closer = new Closer();
    std::lock_guard<std::mutex> lock(closer->mutex_);
    closer->waiting_.push_back(file);
    closer->changed_.notify_one();
  }

 private:
  struct CloseHandler final : XrdCl::ResponseHandler {
    explicit CloseHandler(XrdCl::File *file) : file_(file) {}
    void HandleResponse(XrdCl::XRootDStatus *status, XrdCl::AnyObject *response) override {
      delete status;
      delete response;
      retire(file_);
      delete this;
    }
    XrdCl::File *file_;
  };

  Closer() {
    std::thread([this] { run(); }).detach();
  }

  void run() {
    while (true) {
      XrdCl::File *file;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return !waiting_.empty(); });
        file = waiting_.front();
        waiting_.pop_front();
      }
      if (file->IsOpen()) {
        auto *handler = new CloseHandler(file);
        if (file->Close(handler, 15).IsOK()) continue;
        delete handler;
      }
      delete file;
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<XrdCl::File *> waiting_;
};

using SharedFile = std::shared_ptr<XrdCl::File>;

SharedFile makeFile() {
  SharedFile file(new XrdCl::File(false), Closer::retire);
  // A connection that broke is an error here: a file that is opened again must be checked to be the same.
  file->SetProperty("ReadRecovery", "false");
  return file;
}

// What one asynchronous call shares between its caller and XrdCl's callback.
struct State {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  bool abandoned = false;
  XrdCl::XRootDStatus status;
  std::unique_ptr<XrdCl::AnyObject> response;
  Buffers::Held buffer;
  uint64_t expected = 0;
  bool vector = false;
  SharedFile file;  // kept open while XrdCl may still write
  cxr_freed freed = nullptr;
  void *context = nullptr;

  ~State() {
    Buffers::shared().give(std::move(buffer));
    if (freed) freed(context, expected, abandoned);
  }
};

class Handler final : public XrdCl::ResponseHandler {
 public:
  explicit Handler(std::shared_ptr<State> state) : state_(std::move(state)) {}

  void HandleResponse(XrdCl::XRootDStatus *status, XrdCl::AnyObject *response) override {
    {
      std::lock_guard<std::mutex> lock(state_->mutex);
      state_->status = *status;
      state_->response.reset(response);
      state_->done = true;
      state_->changed.notify_all();
    }
    delete status;
    delete this;
  }

 private:
  std::shared_ptr<State> state_;
};

bool waitFor(State &state, int milliseconds) {
  std::unique_lock<std::mutex> lock(state.mutex);
  return state.changed.wait_for(lock, std::chrono::milliseconds(milliseconds), [&] { return state.done; });
}

bool abandon(const std::shared_ptr<State> &state) {
  std::lock_guard<std::mutex> lock(state->mutex);
  if (state->done) return false;
  state->abandoned = true;
  return true;
}

// Starts a call and waits a second longer than XrdCl was given, so that its own message is preferred.
template <typename Start>
int perform(const std::shared_ptr<State> &state, int seconds, const char *what, Start start, char *error, size_t size) {
  auto *handler = new Handler(state);
  XrdCl::XRootDStatus begun = start(handler);
  if (!begun.IsOK()) {
    delete handler;
    report(begun.ToStr(), error, size);
    return classify(begun);
  }
  if (!waitFor(*state, (seconds + 2) * 1000)) {
    abandon(state);
    report(std::string(what) + " got no answer within " + std::to_string(seconds) + " s", error, size);
    return CXR_DEADLINE;
  }
  std::lock_guard<std::mutex> lock(state->mutex);
  if (!state->status.IsOK()) {
    report(state->status.ToStr(), error, size);
    return classify(state->status);
  }
  return CXR_OK;
}

struct Limits {
  int segments = 1024;
  int bytes = 2097136;
};

// Asked once of each server.
Limits readLimits(const XrdCl::URL &url, int seconds) {
  static std::mutex mutex;
  static std::map<std::string, Limits> known;
  const std::string key = url.GetHostId();
  {
    std::lock_guard<std::mutex> lock(mutex);
    auto found = known.find(key);
    if (found != known.end()) return found->second;
  }
  Limits limits;
  auto state = std::make_shared<State>();
  XrdCl::FileSystem system(url);
  XrdCl::Buffer argument;
  argument.FromString("readv_iov_max readv_ior_max");
  int result = perform(state, seconds, "the query of the limits",
      [&](Handler *handler) {
        return system.Query(XrdCl::QueryCode::Config, argument, handler, static_cast<uint16_t>(seconds));
      }, nullptr, 0);
  if (result != CXR_OK) return limits;
  XrdCl::Buffer *answer = nullptr;
  state->response->Get(answer);
  int segments = 0, bytes = 0;
  if (answer && std::sscanf(answer->ToString().c_str(), "%d %d", &segments, &bytes) == 2 && segments > 0 && bytes > 0)
    limits = {segments, bytes};
  std::lock_guard<std::mutex> lock(mutex);
  if (known.size() < 10000) known[key] = limits;
  return limits;
}

uint64_t received(State &state) {
  if (!state.response) return 0;
  if (state.vector) {
    XrdCl::VectorReadInfo *info = nullptr;
    state.response->Get(info);
    return info ? info->GetSize() : 0;
  }
  XrdCl::ChunkInfo *info = nullptr;
  state.response->Get(info);
  return info ? info->length : 0;
}

}  // namespace

struct cxr_file {
  SharedFile file;
};

struct cxr_request {
  std::shared_ptr<State> state;
};

extern "C" {

int cxr_open(const char *url, int seconds, cxr_file **out, cxr_file_info *info, char *error, size_t size) try {
  configure();
  *out = nullptr;
  XrdCl::URL parsed(url);
  if (!parsed.IsValid()) {
    report("the URL is not valid", error, size);
    return CXR_ERROR;
  }
  SharedFile file = makeFile();
  auto state = std::make_shared<State>();
  state->file = file;
  int result = perform(state, seconds, "the open",
      [&](Handler *handler) {
        return file->Open(url, XrdCl::OpenFlags::Read, XrdCl::Access::None, handler, static_cast<uint16_t>(seconds));
      }, error, size);
  if (result != CXR_OK) return result;
  state->file.reset();
  // The size came with the open; with `force` false this asks nobody.
  XrdCl::StatInfo *stat = nullptr;
  XrdCl::XRootDStatus status = file->Stat(false, stat, static_cast<uint16_t>(seconds));
  std::unique_ptr<XrdCl::StatInfo> holder(stat);
  if (!status.IsOK() || !stat) {
    report(status.ToStr(), error, size);
    return classify(status);
  }
  info->size = stat->GetSize();
  std::string server;
  file->GetProperty("DataServer", server);
  report(server, info->server, sizeof info->server);
  XrdCl::URL data(server.empty() ? parsed.GetHostId() : server);
  Limits limits = readLimits(data.IsValid() ? data : parsed, seconds);
  info->readv_iov_max = limits.segments;
  info->readv_ior_max = limits.bytes;
  *out = new cxr_file{std::move(file)};
  return CXR_OK;
} catch (const std::exception &failure) {
  report(failure.what(), error, size);
  return CXR_ERROR;
}

void cxr_close(cxr_file *file) { delete file; }

cxr_request *cxr_read(cxr_file *file, const cxr_range *ranges, int count, int seconds, cxr_freed freed,
                      void *context) try {
  auto state = std::make_shared<State>();
  state->file = file->file;
  XrdCl::ChunkList chunks;
  for (int i = 0; i < count; ++i) {
    chunks.emplace_back(ranges[i].offset, ranges[i].length, nullptr);
    state->expected += ranges[i].length;
  }
  state->vector = count > 1;
  state->buffer = Buffers::shared().take(state->expected);
  if (!state->buffer.bytes) return nullptr;
  auto *request = new cxr_request{state};
  state->freed = freed;
  state->context = context;
  auto *handler = new Handler(state);
  uint8_t *bytes = state->buffer.bytes.get();
  auto timeout = static_cast<uint16_t>(seconds);
  XrdCl::XRootDStatus begun =
      state->vector ? file->file->VectorRead(chunks, bytes, handler, timeout)
                    : file->file->Read(ranges[0].offset, ranges[0].length, bytes, handler, timeout);
  if (!begun.IsOK()) {
    delete handler;
    std::lock_guard<std::mutex> lock(state->mutex);
    state->done = true;
    state->status = begun;
  }
  return request;
} catch (...) {
  return nullptr;
}

int cxr_wait(cxr_request *request, int milliseconds, const uint8_t **data, uint64_t *length, char *error, size_t size) {
  if (!request) {
    report("there is no memory for this read", error, size);
    return CXR_NO_MEMORY;
  }
  State &state = *request->state;
  if (!waitFor(state, milliseconds)) {
    report("the read got no answer before its deadline", error, size);
    return CXR_DEADLINE;
  }
  std::lock_guard<std::mutex> lock(state.mutex);
  if (!state.status.IsOK()) {
    report(state.status.ToStr(), error, size);
    return classify(state.status);
  }
  if (uint64_t got = received(state); got != state.expected) {
    report("the server sent " + std::to_string(got) + " of " + std::to_string(state.expected) + " bytes", error, size);
    return CXR_ERROR;
  }
  *data = state.buffer.bytes.get();
  *length = state.expected;
  return CXR_OK;
}

int cxr_release(cxr_request *request) {
  if (!request) return 0;
  bool abandoned = abandon(request->state);
  delete request;
  return abandoned;
}

int cxr_list(const char *url, int seconds, char **listing, char *error, size_t size) try {
  configure();
  XrdCl::URL parsed(url);
  auto state = std::make_shared<State>();
  XrdCl::FileSystem system(parsed);
  int result = perform(state, seconds, "the listing",
      [&](Handler *handler) {
        return system.DirList(parsed.GetPathWithParams(), XrdCl::DirListFlags::Stat, handler,
                              static_cast<uint16_t>(seconds));
      }, error, size);
  if (result != CXR_OK) return result;
  XrdCl::DirectoryList *list = nullptr;
  state->response->Get(list);
  std::string text;
  if (list) {
    for (auto entry = list->Begin(); entry != list->End(); ++entry) {
      auto *info = (*entry)->GetStatInfo();
      text += info && info->TestFlags(XrdCl::StatInfo::IsDir) ? "d " : "f ";
      text += (*entry)->GetName() + "\n";
    }
  }
  *listing = strdup(text.c_str());
  return CXR_OK;
} catch (const std::exception &failure) {
  report(failure.what(), error, size);
  return CXR_ERROR;
}

int cxr_stat(const char *url, int seconds, int *is_directory, uint64_t *bytes, char *error, size_t size) try {
  configure();
  XrdCl::URL parsed(url);
  auto state = std::make_shared<State>();
  XrdCl::FileSystem system(parsed);
  int result = perform(state, seconds, "the stat",
      [&](Handler *handler) {
        return system.Stat(parsed.GetPathWithParams(), handler, static_cast<uint16_t>(seconds));
      }, error, size);
  if (result != CXR_OK) return result;
  XrdCl::StatInfo *info = nullptr;
  state->response->Get(info);
  *is_directory = info && info->TestFlags(XrdCl::StatInfo::IsDir);
  *bytes = info ? info->GetSize() : 0;
  return CXR_OK;
} catch (const std::exception &failure) {
  report(failure.what(), error, size);
  return CXR_ERROR;
}

int cxr_checksum(const char *url, int seconds, char *answer, size_t answer_size, char *error, size_t size) try {
  configure();
  XrdCl::URL parsed(url);
  auto state = std::make_shared<State>();
  XrdCl::FileSystem system(parsed);
  XrdCl::Buffer argument;
  argument.FromString(parsed.GetPathWithParams());
  int result = perform(state, seconds, "the query of the checksum",
      [&](Handler *handler) {
        return system.Query(XrdCl::QueryCode::Checksum, argument, handler, static_cast<uint16_t>(seconds));
      }, error, size);
  if (result != CXR_OK) return result;
  XrdCl::Buffer *buffer = nullptr;
  state->response->Get(buffer);
  report(buffer ? buffer->ToString() : "", answer, answer_size);
  return CXR_OK;
} catch (const std::exception &failure) {
  report(failure.what(), error, size);
  return CXR_ERROR;
}

void cxr_free(void *memory) { std::free(memory); }

}  // extern "C"
