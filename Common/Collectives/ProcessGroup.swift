package import Bytes
import CGloo
import Synchronization

/// The connected members of one training round. A member that is killed shows as an error of the next sum; then the
/// round is over.
// SAFETY: the stored properties never change but `failed`, which is a mutex; the connections are used by the one thread
// that trains, and `abandon` may be called from any.
package final class ProcessGroup: Communicator, @unchecked Sendable {
    /// Seconds within which a group's parts must go on.
    package struct Limits: Sendable {
        /// From the moment at which all members are there until all are connected.
        package var connect = 6.0
        /// Without a byte of a member from which something is awaited.
        package var silence = 30.0

        package init() {}
    }

    package let rank: Int
    package let size: Int
    private let names: [String]
    private let limits: Limits
    private let rendezvous: any Rendezvous
    /// nil in a group of one member.
    private let handle: OpaquePointer?
    private let failed = Mutex<[Int]?>(nil)

    /// Opens this member's listening socket; `connect` follows.
    ///
    /// - Parameters:
    ///   - rank: this member's number, from 0.
    ///   - names: the members' names by rank, for messages; as many as there are members.
    ///   - address: the IP address that this member listens at; see `MemberAddress`.
    ///   - rendezvous: by which the members find each other.
    /// - Throws: `InputError` with `.faulty` where this machine cannot listen at the address.
    package init(
        rank: Int, names: [String], address: String, limits: Limits = Limits(), rendezvous: any Rendezvous
    ) throws(InputError) {
        (self.rank, size, self.names, self.limits) = (rank, names.count, names, limits)
        self.rendezvous = rendezvous
        guard names.count > 1 else {
            handle = nil
            return
        }
        var failure = cgl_failure()
        handle = cgl_open(Int32(rank), Int32(clamping: names.count), address, &failure)
        guard handle != nil else {
            throw InputError(
                .faulty, "the other members cannot reach this one", expected: "an IP address of this machine",
                found: failure.reason, hint: "Start the worker with another --host")
        }
    }

    deinit { cgl_close(handle) }

    package var lost: [Int]? { failed.withLock { $0 } }

    /// Exchanges the members' addresses and a greeting with each of them. Throws `InputError` with `.unreachable` that
    /// names those that could not be reached in time.
    package func connect() throws(InputError) {
        guard size > 1 else { return }
        let contact = cgl_contact(handle).map { String(cString: $0) } ?? ""
        guard let contacts = allGather("contact", Array(contact.utf8)) else {
            failed.withLock { $0 = [] }
            throw InputError(.unreachable, "the round ended before all members had come")
        }
        let texts = contacts.map { Array($0.filter { $0 != 0 }) + [0] }
        var failure = cgl_failure()
        let outcome = Self.withPointers(texts) { pointers in
            cgl_connect(
                handle, pointers, Self.milliseconds(limits.connect), Self.milliseconds(limits.silence), &failure)
        }
        guard outcome == cgl_done else { throw error("cannot connect with", outcome, failure) }
    }

    /// Ends, from any thread, whatever waits for another member, and everything that would wait later: it throws within
    /// milliseconds. The connections are closed when the group ends.
    package func abandon() { cgl_abandon(handle) }

    /// Calls `body` with an array of C strings.
    private static func withPointers<Result>(
        _ texts: [[UInt8]], _ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> Result
    ) -> Result {
        var starts: [Int] = []
        var all: [CChar] = []
        for text in texts {
            starts.append(all.count)
            all += text.map { CChar(bitPattern: $0) }
        }
        return all.withUnsafeBufferPointer { bytes in
            let pointers = starts.map { start in bytes.baseAddress.map { $0 + start } }
            return pointers.withUnsafeBufferPointer { body($0.baseAddress) }
        }
    }

    private static func milliseconds(_ seconds: Double) -> Int32 { Int32(max(1, min(seconds, 1e6)) * 1000) }

    /// The error of a call that failed, and from now on `lost`.
    ///
    /// - Parameter what: what could not be done, before the names of members.
    func error(_ what: String, _ outcome: cgl_outcome, _ failure: cgl_failure) -> InputError {
        let members = failure.ranks.filter { $0 < size }
        failed.withLock { lost in
            switch outcome {
            case cgl_unreachable: lost = members
            case cgl_closed, cgl_abandoned: lost = []
            default: lost = nil
            }
        }
        guard !members.isEmpty else { return InputError(.unreachable, "the round broke: \(failure.reason)") }
        let culprits = members.prefix(5).map { names[$0] }.joined(separator: ", ")
        let more = members.count > 5 ? " and \(members.count - 5) more" : ""
        return InputError(.unreachable, "\(what) \(culprits)\(more): \(failure.reason)")
    }

    // MARK: Through the rendezvous

    /// Waits until all members are at this point: each sets a key of its own and waits for the others' keys.
    package func barrier(_ name: String) -> Bool {
        guard size > 1 else { return true }
        rendezvous.set("barrier/\(name)/\(rank)", [1])
        return (0..<size).allSatisfy { rendezvous.wait("barrier/\(name)/\($0)") != nil }
    }

    /// Hands each member the values of all, by rank, through the rendezvous; nil where the round was given up.
    package func allGather(_ key: String, _ value: [UInt8]) -> [[UInt8]]? {
        guard size > 1 else { return [value] }
        rendezvous.set("\(key)/\(rank)", value)
        var values: [[UInt8]] = []
        for rank in 0..<size {
            guard let value = rendezvous.wait("\(key)/\(rank)") else { return nil }
            values.append(value)
        }
        return values
    }

    // MARK: Sums

    /// Hands each member the bytes of `root`, as a sum to which the others add zeros. `bytes` is of one length on all
    /// members; throws `InputError` with `.unreachable` where a member was lost.
    package func broadcast(_ bytes: [UInt8], from root: Int) throws(InputError) -> [UInt8] {
        guard size > 1 else { return bytes }
        // The sum of one member's numbers and the others' zeros is that member's.
        let buffer = try allReduceBuffer(count: max(Self.minBufferCount, (bytes.count + 7) / 8))
        let raw = UnsafeMutableRawBufferPointer(buffer.values)
        raw.initializeMemory(as: UInt8.self, repeating: 0)
        if rank == root { raw.copyBytes(from: bytes) }
        try buffer.sum()
        return Array(raw.prefix(bytes.count))
    }

    /// The fewest numbers of a buffer: Gloo's algorithm wants a few for each member.
    package static let minBufferCount = 1024

    /// Makes a buffer of `count` zeros; all members give the same `count`. Throws `InputError` with `.unreachable`
    /// where a member was lost.
    package func allReduceBuffer(count: Int) throws(InputError) -> any AllReduce {
        try AllReduceBuffer(self, handle, count: count)
    }
}

extension cgl_failure {
    /// The reason as one sentence.
    var reason: String {
        withUnsafeBytes(of: text) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    /// The members that the failure is about, in order.
    var ranks: [Int] {
        withUnsafeBytes(of: members) { bytes in
            bytes.indices.flatMap { index in
                (0..<8).filter { bytes[index] >> $0 & 1 == 1 }.map { index * 8 + $0 }
            }
        }
    }
}
