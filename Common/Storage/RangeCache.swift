package import Bytes
import CCodecs
import Glibc
import Synchronization

/// A worker's cache of stored bytes on its disk: what was read of a file once need not be fetched again.
///
/// It keeps ranges as they were asked for (baskets and pages: the same whatever the chunking). Ranges that begin in the
/// same four MiB of a file lie in one cache file, one after another, each with a checksum of its head and one of its
/// bytes. Several processes may share a directory: appending takes a lock on the cache file; readers take none, and
/// believe only what its checksums confirm, so that a record that was cut by a crash is never served. When there is too
/// much, the cache files that were used longest ago go.
package final class RangeCache: Sendable {
    private struct Index {
        /// Parsed up to here; what follows is younger or torn.
        var end = 0
        var records: [ByteRange: (position: Int, checksum: UInt64)] = [:]
        var touched = 0
    }

    private struct State {
        /// By path; costs are numbers of ranges. Some twenty megabytes at most: what left is read again when it is
        /// needed.
        var indices = BoundedCache<String, Index>(limit: RangeCache.maxEntries)
        /// Bytes in the directory, as far as this process knows.
        var bytes = 0
        /// Bytes added since the directory was scanned; nil before the first scan, which the first addition makes.
        var addedSinceScan: Int?
        /// Writing failed: not tried again before this time.
        var pausedUntil = 0
    }

    private let directory: String
    private let limit: Int
    private let state = Mutex(State())
    private static let regionBytes = 4 << 20
    private static let headBytes = 40
    private static let magic: UInt64 = 0x314B_4C42_4D41_4542
    private static let maxEntries = 200_000
    /// Larger ranges are not kept.
    private static let maxRangeBytes = 64 << 20

    /// - Parameters:
    ///   - directory: made where it does not exist.
    ///   - bytes: about as much is kept; a process may be a sixteenth over it for a moment.
    package init(directory: String, bytes: Int) throws(InputError) {
        self.directory = directory
        limit = bytes
        guard mkdir(directory, 0o755) == 0 || errno == EEXIST, access(directory, W_OK) == 0 else {
            throw InputError(
                .input, "the cache directory cannot be used: \(String(cString: strerror(errno)))", file: directory,
                expected: "a directory that can be written, in one that exists")
        }
    }

    // MARK: Reading

    /// Gives a fetch what is here of the file with this identity.
    func read(_ identity: String, into fetch: RangeFetch) {
        for (region, indices) in Dictionary(grouping: fetch.missing, by: { fetch.ranges[$0].offset / Self.regionBytes })
        {
            let path = path(identity, region)
            let file = open(path, O_RDONLY | O_CLOEXEC)
            guard file >= 0 else { continue }
            defer { close(file) }
            let index = refreshed(path, file, identity)
            for number in indices {
                let range = fetch.ranges[number]
                guard let record = index.records[range] else { continue }
                let buffer = AlignedBuffer(capacity: range.length)
                guard Self.fill(file, buffer.pointer, range.length, record.position),
                    XXH3_64bits(buffer.pointer, range.length) == record.checksum
                else {
                    // The disk gave other bytes than were written: nothing of this file is believed any more.
                    unlink(path)
                    _ = state.withLock { $0.indices.remove(path) }
                    break
                }
                fetch.set(number, to: UnsafeRawPointer(buffer.pointer))
                fetch.keep(buffer, transferred: 0)
            }
            touch(path, file)
        }
    }

    /// The index of a cache file, with what was appended since the last look.
    private func refreshed(_ path: String, _ file: Int32, _ identity: String) -> Index {
        var index = state.withLock { $0.indices.value(for: path) } ?? Index()
        var status = stat()
        guard fstat(file, &status) == 0 else { return Index() }
        // Evicted, and begun again, by another process.
        if status.st_size < index.end { index = Index() }
        let key = Array(identity.utf8)
        while index.end + Self.headBytes + key.count <= status.st_size {
            var head = [UInt8](repeating: 0, count: Self.headBytes + key.count)
            let whole = head.withUnsafeMutableBytes { Self.fill(file, $0.baseAddress!, $0.count, index.end) }
            guard whole, let record = Record(head, key) else { break }
            let position = index.end + head.count
            guard position + record.range.length <= status.st_size else { break }
            index.records[record.range] = (position, record.checksum)
            index.end = position + record.range.length
        }
        state.withLock { $0.indices.insert(index, for: path, cost: index.records.count) }
        return index
    }

    /// What stands before a range's bytes: magic, offset, length, checksum of the bytes, checksum of the head and the
    /// identity; the identity.
    private struct Record {
        var range: ByteRange
        var checksum: UInt64

        init(_ range: ByteRange, checksum: UInt64) {
            self.range = range
            self.checksum = checksum
        }

        init?(_ bytes: [UInt8], _ key: [UInt8]) {
            func number(_ offset: Int) -> UInt64 {
                bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self) }
            }
            guard number(0) == RangeCache.magic, Array(bytes[RangeCache.headBytes...]) == key,
                number(32) == Self.check(Array(bytes[..<32]) + key),
                number(16) <= UInt64(RangeCache.maxRangeBytes), number(8) < 1 << 62
            else { return nil }
            range = ByteRange(offset: Int(number(8)), length: Int(number(16)))
            checksum = number(24)
        }

        func bytes(_ key: [UInt8]) -> [UInt8] {
            var head: [UInt8] = []
            for value in [RangeCache.magic, UInt64(range.offset), UInt64(range.length), checksum] {
                withUnsafeBytes(of: value) { head += $0 }
            }
            withUnsafeBytes(of: Self.check(head + key)) { head += $0 }
            return head + key
        }

        private static func check(_ bytes: [UInt8]) -> UInt64 {
            bytes.withUnsafeBytes { XXH3_64bits($0.baseAddress, $0.count) }
        }
    }

    /// Drops everything of a file, whose bytes proved damaged.
    func forget(_ identity: String, size: Int) {
        for region in 0...max(0, size / Self.regionBytes) {
            let path = path(identity, region)
            unlink(path)
            _ = state.withLock { $0.indices.remove(path) }
        }
    }

    // MARK: Writing

    /// Keeps ranges that have come. What cannot be written is not kept; nobody fails for it.
    func store(_ identity: String, _ fetch: RangeFetch, _ indices: [Int]) {
        guard state.withLock({ $0.pausedUntil <= Int(monotonicSeconds()) }) else { return }
        var added = 0
        for (region, members) in Dictionary(grouping: indices, by: { fetch.ranges[$0].offset / Self.regionBytes }) {
            added += append(path(identity, region), identity, fetch, members)
        }
        let full = state.withLock { state in
            state.bytes += added
            guard let before = state.addedSinceScan else { return true }
            state.addedSinceScan = before + added
            return state.bytes > limit || before + added > limit / 16
        }
        if full { evict() }
    }

    private func append(_ path: String, _ identity: String, _ fetch: RangeFetch, _ members: [Int]) -> Int {
        let parent = String(path[..<path.lastIndex(of: "/")!])
        mkdir(parent, 0o755)
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard file >= 0 else { return pause() }
        defer { close(file) }
        // Another process that writes this very file keeps what it has; this one's is fetched again some day.
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else { return 0 }
        defer { flock(file, LOCK_UN) }
        let index = refreshed(path, file, identity)
        // A record that a crash cut short, or another file's with the same name's hash.
        guard ftruncate(file, index.end) == 0 else { return pause() }
        var end = index.end
        let key = Array(identity.utf8)
        for number in members {
            let (range, slice) = (fetch.ranges[number], fetch.slice(number))
            guard index.records[range] == nil, range.length > 0, range.length <= Self.maxRangeBytes, let slice else {
                continue
            }
            let head = Record(range, checksum: XXH3_64bits(slice.baseAddress, slice.count)).bytes(key)
            let written = head.withUnsafeBytes { Self.put(file, $0, end) } && Self.put(file, slice, end + head.count)
            guard written else {
                _ = ftruncate(file, end)
                return pause() + end - index.end
            }
            end += head.count + range.length
        }
        return end - index.end
    }

    /// The disk is full or gone: the sites are read as if there were no cache, and it is tried again in a minute.
    private func pause() -> Int {
        state.withLock { $0.pausedUntil = Int(monotonicSeconds()) + 60 }
        return 0
    }

    // MARK: Eviction

    private func scan() -> [(path: String, bytes: Int, used: Int)] {
        var found: [(path: String, bytes: Int, used: Int)] = []
        for folder in directoryNames(directory) ?? [] where folder.utf8.count == 2 {
            for name in directoryNames("\(directory)/\(folder)") ?? [] where name.hasSuffix(".blocks") {
                var status = stat()
                let path = "\(directory)/\(folder)/\(name)"
                guard fstatat(AT_FDCWD, path, &status, AT_SYMLINK_NOFOLLOW) == 0 else { continue }
                found.append(
                    (path, Int(status.st_blocks) * 512, status.st_mtim.tv_sec * 1_000_000_000 + status.st_mtim.tv_nsec))
            }
        }
        return found
    }

    private func evict() {
        let lock = open("\(directory)/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard lock >= 0 else { return }
        defer { close(lock) }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else { return }
        var files = scan()
        var bytes = files.reduce(0) { $0 + $1.bytes }
        if bytes > limit - limit / 8 {
            files.sort { ($0.used, $0.path) < ($1.used, $1.path) }
            for file in files where bytes > limit - limit / 4 {
                unlink(file.path)
                bytes -= file.bytes
                _ = state.withLock { $0.indices.remove(file.path) }
            }
        }
        state.withLock { ($0.bytes, $0.addedSinceScan) = (bytes, 0) }
    }

    private func touch(_ path: String, _ file: Int32) {
        let now = Int(monotonicSeconds())
        let due = state.withLock { state in
            guard var index = state.indices.peek(path), now - index.touched > 10 else { return false }
            index.touched = now
            state.indices.insert(index, for: path, cost: index.records.count)
            return true
        }
        if due { futimens(file, nil) }
    }

    // MARK: Small things

    private func path(_ identity: String, _ region: Int) -> String {
        let text = Array("\(identity) \(region)".utf8)
        let hash = text.withUnsafeBytes { XXH3_64bits($0.baseAddress, $0.count) }
        let name = String(hash, radix: 16)
        let digits = String(repeating: "0", count: 16 - name.utf8.count) + name
        return "\(directory)/\(digits.prefix(2))/\(digits).blocks"
    }

    private static func fill(_ file: Int32, _ target: UnsafeMutableRawPointer, _ count: Int, _ position: Int) -> Bool {
        var done = 0
        while done < count {
            let read = pread(file, target + done, count - done, position + done)
            guard read > 0 else { return false }
            done += read
        }
        return true
    }

    private static func put(_ file: Int32, _ bytes: UnsafeRawBufferPointer, _ position: Int) -> Bool {
        var done = 0
        while done < bytes.count {
            let written = pwrite(file, bytes.baseAddress! + done, bytes.count - done, position + done)
            guard written > 0 else { return false }
            done += written
        }
        return true
    }
}
