#include "CXrootd.h"

#include <XProtocol/XProtocol.hh>
#include <XrdCl/XrdClDefaultEnv.hh>
#include <XrdCl/XrdClFile.hh>
#include <XrdCl/XrdClFileSystem.hh>
#include <XrdCl/XrdClXRootDResponses.hh>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

std::atomic<int64_t> abandonedBytes{0};

void configure() {
  static std::once_flag once;
  std::call_once(once, [] {
    // Deadlines of seconds need a watch of seconds; a dead host must not cost ten minutes.
    auto *env = XrdCl::DefaultEnv::GetEnv();
    env->PutInt("TimeoutResolution", 1);
    env->PutInt("ConnectionWindow", 10);
    env->PutInt("ConnectionRetry", 1);
  });
}

void report(const std::string &text, char *error, size_t size) {
  if (!error || size == 0) return;
  std::strncpy(error, text.c_str(), size - 1);
  error[size - 1] = 0;
}

int classify(const XrdCl::XRootDStatus &status) {
  if (status.code == XrdCl::errErrorResponse || status.code == XrdCl::errRedirect) {
    if (status.errNo == kXR_NotFound || status.errNo == kXR_NotFile) return CXR_NOT_FOUND;
    if (status.errNo == kXR_NotAuthorized || status.errNo == kXR_AuthFailed) return CXR_DENIED;
  }
  switch (status.code) {
    case XrdCl::errConnectionError:
    case XrdCl::errSocketError:
    case XrdCl::errInvalidAddr:
    case XrdCl::errStreamDisconnect:
      return CXR_UNREACHABLE;
    case XrdCl::errOperationExpired:
    case XrdCl::errSocketTimeout:
      return CXR_DEADLINE;
    case XrdCl::errAuthFailed:
      return CXR_DENIED;
    default:
      return CXR_ERROR;
  }
}

// What one asynchronous call shares between its caller and XrdCl's callback.
struct State {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  bool abandoned = false;
  XrdCl::XRootDStatus status;
  std::unique_ptr<XrdCl::AnyObject> response;
  std::vector<uint8_t> buffer;
  uint64_t expected = 0;
  std::shared_ptr<XrdCl::File> file;  // kept open while XrdCl may still write
};

// A file must not be closed on XrdCl's own thread: the close would wait for that very thread.
void dropElsewhere(std::shared_ptr<XrdCl::File> file) {
  if (file) std::thread([held = std::move(file)]() mutable { held.reset(); }).detach();
}

class Handler final : public XrdCl::ResponseHandler {
 public:
  explicit Handler(std::shared_ptr<State> state) : state_(std::move(state)) {}

  void HandleResponse(XrdCl::XRootDStatus *status, XrdCl::AnyObject *response) override {
    std::shared_ptr<XrdCl::File> last;
    {
      std::lock_guard<std::mutex> lock(state_->mutex);
      state_->status = *status;
      state_->response.reset(response);
      state_->done = true;
      if (state_->abandoned) {
        abandonedBytes -= static_cast<int64_t>(state_->buffer.size());
        last = std::move(state_->file);
      }
      state_->changed.notify_all();
    }
    delete status;
    dropElsewhere(std::move(last));
    delete this;
  }

 private:
  std::shared_ptr<State> state_;
};

bool waitFor(State &state, int milliseconds) {
  std::unique_lock<std::mutex> lock(state.mutex);
  return state.changed.wait_for(lock, std::chrono::milliseconds(milliseconds), [&] { return state.done; });
}

void abandon(const std::shared_ptr<State> &state) {
  std::shared_ptr<XrdCl::File> last;
  std::lock_guard<std::mutex> lock(state->mutex);
  if (state->done) {
    // The file goes with the caller's thread, not with XrdCl's.
    last = std::move(state->file);
    return;
  }
  state->abandoned = true;
  abandonedBytes += static_cast<int64_t>(state->buffer.size());
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

void readLimits(const XrdCl::URL &url, int seconds, cxr_file_info *info) {
  info->readv_iov_max = 1024;
  info->readv_ior_max = 2097136;
  auto state = std::make_shared<State>();
  XrdCl::FileSystem system(url);
  XrdCl::Buffer argument;
  argument.FromString("readv_iov_max readv_ior_max");
  int result = perform(state, seconds, "the query of the limits",
      [&](Handler *handler) {
        return system.Query(XrdCl::QueryCode::Config, argument, handler, static_cast<uint16_t>(seconds));
      }, nullptr, 0);
  if (result != CXR_OK) return;
  XrdCl::Buffer *answer = nullptr;
  state->response->Get(answer);
  if (!answer) return;
  int segments = 0, bytes = 0;
  if (std::sscanf(answer->ToString().c_str(), "%d %d", &segments, &bytes) == 2 && segments > 0 && bytes > 0) {
    info->readv_iov_max = segments;
    info->readv_ior_max = bytes;
  }
}

}  // namespace

struct cxr_file {
  std::shared_ptr<XrdCl::File> file;
};

struct cxr_request {
  std::shared_ptr<State> state;
  XrdCl::XRootDStatus begun;
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
  auto file = std::make_shared<XrdCl::File>(false);
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
  XrdCl::URL limits(server.empty() ? parsed.GetHostId() : server);
  readLimits(limits.IsValid() ? limits : parsed, seconds, info);
  *out = new cxr_file{std::move(file)};
  return CXR_OK;
} catch (const std::exception &failure) {
  report(failure.what(), error, size);
  return CXR_ERROR;
}

void cxr_close(cxr_file *file) try {
  if (!file) return;
  dropElsewhere(std::move(file->file));
  delete file;
} catch (...) {
}

cxr_request *cxr_read(cxr_file *file, const cxr_range *ranges, int count, int seconds) try {
  auto *request = new cxr_request{std::make_shared<State>(), {}};
  auto &state = request->state;
  state->file = file->file;
  XrdCl::ChunkList chunks;
  uint64_t total = 0;
  for (int i = 0; i < count; ++i) {
    chunks.emplace_back(ranges[i].offset, ranges[i].length, nullptr);
    total += ranges[i].length;
  }
  state->expected = total;
  state->buffer.resize(total);
  auto *handler = new Handler(state);
  request->begun = file->file->VectorRead(chunks, state->buffer.data(), handler, static_cast<uint16_t>(seconds));
  if (!request->begun.IsOK()) {
    delete handler;
    state->done = true;
    state->status = request->begun;
  }
  return request;
} catch (...) {
  // No memory for the buffer.
  return nullptr;
}

int cxr_wait(cxr_request *request, int milliseconds, const uint8_t **data, uint64_t *length, char *error, size_t size) {
  if (!request) {
    report("there is no memory for this read", error, size);
    return CXR_ERROR;
  }
  State &state = *request->state;
  if (!waitFor(state, milliseconds)) {
    report("the read got no answer within " + std::to_string(milliseconds / 1000) + " s", error, size);
    return CXR_DEADLINE;
  }
  std::lock_guard<std::mutex> lock(state.mutex);
  if (!state.status.IsOK()) {
    report(state.status.ToStr(), error, size);
    return classify(state.status);
  }
  XrdCl::VectorReadInfo *info = nullptr;
  if (state.response) state.response->Get(info);
  if (!info || info->GetSize() != state.expected) {
    report("the server sent " + std::to_string(info ? info->GetSize() : 0) + " of " + std::to_string(state.expected) +
               " bytes", error, size);
    return CXR_ERROR;
  }
  *data = state.buffer.data();
  *length = state.buffer.size();
  return CXR_OK;
}

void cxr_release(cxr_request *request) {
  if (!request) return;
  abandon(request->state);
  delete request;
}

int64_t cxr_abandoned_bytes(void) { return abandonedBytes.load(); }

int cxr_list(const char *url, int seconds, char **listing, char *error, size_t size) try {
  configure();
  XrdCl::URL parsed(url);
  auto state = std::make_shared<State>();
  XrdCl::FileSystem system(parsed);
  int result = perform(state, seconds, "the listing",
      [&](Handler *handler) {
        return system.DirList(parsed.GetPath(), XrdCl::DirListFlags::Stat, handler, static_cast<uint16_t>(seconds));
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
      [&](Handler *handler) { return system.Stat(parsed.GetPath(), handler, static_cast<uint16_t>(seconds)); }, error,
      size);
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

void cxr_free(void *memory) { std::free(memory); }

}  // extern "C"
