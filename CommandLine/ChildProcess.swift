import Foundation

/// A child process in a process group of its own, which shares no descriptor with its parent. It is waited for by its
/// number alone: whatever its descendants hold open delays nobody.
struct ChildProcess {
    /// How a process ended.
    enum End: Equatable {
        case exit(Int32)
        case signal(Int32)
    }

    let id: pid_t

    /// Starts this program once more.
    ///
    /// - Parameters:
    ///   - program: the executable's path.
    ///   - log: a file, made where it does not exist, to which standard output and error are appended.
    /// - Throws: `CocoaError` where it cannot be started.
    init(program: String, arguments: [String], environment: [String: String], log: String) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        Self.keepDescriptors()
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // What this process ignores or blocks, its children do not.
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        for signal in [SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGCHLD, SIGQUIT] { sigaddset(&signals, signal) }
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))
        let words = ([program] + arguments).map { strdup($0) } + [nil]
        let settings = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in words + settings { free(text) } }
        var id = pid_t()
        let error = posix_spawn(&id, program, &actions, &attributes, words, settings)
        guard error == 0 else {
            throw CocoaError(
                .executableLoad,
                userInfo: [NSFilePathErrorKey: program, NSLocalizedDescriptionKey: String(cString: strerror(error))])
        }
        self.id = id
    }

    /// No descriptor of this process goes on to a child but the three standard ones.
    private static func keepDescriptors() {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? [] {
            if let descriptor = Int32(name), descriptor > 2 { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        }
    }

    /// How it ended; nil while it runs. Asked once more after that, it is as if a signal had ended it.
    func end() -> End? {
        var status: Int32 = 0
        let found = waitpid(id, &status, WNOHANG)
        if found == 0 || found < 0 && errno == EINTR { return nil }
        // What it has left behind, such as a program that prints its backtrace.
        kill(-id, SIGKILL)
        guard found == id else { return .signal(SIGKILL) }
        return status & 0x7f == 0 ? .exit(status >> 8 & 0xff) : .signal(status & 0x7f)
    }

    /// Asks it to end.
    func terminate() { kill(id, SIGTERM) }

    /// Ends it with all its descendants of its group.
    func killAll() {
        kill(-id, SIGKILL)
        kill(id, SIGKILL)
    }
}
