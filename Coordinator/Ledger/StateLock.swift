package import Bytes
package import Foundation

/// The right to write a state directory: a lock (flock) on the file `coordinator.lock` in it, held as long as this
/// value lives, and given back by the system when the process ends, however it ends. The file names the owner, for
/// whoever finds it locked, and the newest life of the ledger.
package final class StateLock: Sendable {
    /// Who holds or last held the lock, as the file has it.
    package struct Owner: Codable, Sendable, Equatable {
        package static let newestFormat = 1
        package var format = Owner.newestFormat
        package var process: Int32
        package var host: String
        /// The newest life of the ledger under this owner; nil before it has begun one.
        package var life: Int64?

        package init(process: Int32, host: String, life: Int64? = nil) {
            self.process = process
            self.host = host
            self.life = life
        }

        package init(from decoder: any Decoder) throws {
            let keys = try decoder.container(keyedBy: CodingKeys.self)
            format = try keys.decodeIfPresent(Int.self, forKey: .format) ?? 1
            process = try keys.decode(Int32.self, forKey: .process)
            host = try keys.decodeIfPresent(String.self, forKey: .host) ?? ""
            life = try keys.decodeIfPresent(Int64.self, forKey: .life)
        }
    }

    /// The owner before this one; nil where there was none, or its entry cannot be read.
    package let previous: Owner?
    private let descriptor: Int32
    private static let name = "coordinator.lock"

    private init(descriptor: Int32, previous: Owner?) {
        self.descriptor = descriptor
        self.previous = previous
    }

    deinit { close(descriptor) }

    /// Removes the lock's file, so that another one can be made: whoever holds it goes on holding what nobody sees.
    package static func discard(_ state: URL) { unlink(state.appending(path: name).path) }

    /// Takes the lock.
    ///
    /// - Parameters:
    ///   - state: the coordinator's state directory.
    ///   - seconds: for how long to wait for an owner that is about to end.
    /// - Throws: `InputError` with `.denied` where a living process holds it, with that process's number and host, and
    ///   where the file cannot be opened.
    package static func take(_ state: URL, seconds: Double = 0) throws(InputError) -> StateLock {
        let file = state.appending(path: name).path
        let descriptor = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw InputError(
                .denied, "the lock of the state directory cannot be opened", file: file,
                found: String(cString: strerror(errno)), hint: "Make the directory writable for this user.")
        }
        let deadline = Date().addingTimeInterval(seconds)
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            let error = errno
            if error == EINTR { continue }
            if error == EWOULDBLOCK, Date() < deadline {
                usleep(50_000)
                continue
            }
            defer { close(descriptor) }
            guard error == EWOULDBLOCK else {
                throw InputError(
                    .denied, "the state directory cannot be locked", file: file,
                    found: String(cString: strerror(error)),
                    hint: "Put it on a file system that has locks (flock).")
            }
            throw inUse(state, owner: read(descriptor))
        }
        let lock = StateLock(descriptor: descriptor, previous: read(descriptor))
        lock.write(Owner(process: getpid(), host: ProcessInfo.processInfo.hostName, life: lock.previous?.life))
        return lock
    }

    /// Who holds the lock of a state directory at the moment, for people; nil where nobody does.
    package static func owner(of state: URL) -> String? {
        let descriptor = open(state.appending(path: name).path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_SH | LOCK_NB) != 0, errno == EWOULDBLOCK else { return nil }
        return text(read(descriptor))
    }

    private static func text(_ owner: Owner?) -> String {
        owner.map { "process \($0.process) on \($0.host)" } ?? "a process that has not named itself"
    }

    private static func inUse(_ state: URL, owner: Owner?) -> InputError {
        InputError(
            .denied, "another coordinator uses this state directory", file: state.path,
            expected: "a directory that no coordinator uses", found: text(owner),
            hint: "Stop that one first, or start this one with --takeover, which makes that one end.")
    }

    /// Notes the ledger's newest life: a ledger of an earlier one that is found here later has lost something.
    package func record(life: Int64) {
        write(Owner(process: getpid(), host: ProcessInfo.processInfo.hostName, life: life))
    }

    private func write(_ owner: Owner) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        guard let bytes = try? encoder.encode(owner) + Data("\n".utf8) else { return }
        // Shorter first, then all of it: a reader sees a whole entry or none.
        ftruncate(descriptor, 0)
        _ = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
    }

    private static func read(_ descriptor: Int32) -> Owner? {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        return count > 0 ? try? JSONDecoder().decode(Owner.self, from: Data(bytes.prefix(count))) : nil
    }
}
