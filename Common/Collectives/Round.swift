import Bytes
import CGloo
import Glibc

/// How the members of a round find each other.
package protocol Rendezvous: AnyObject, Sendable {
    func set(_ key: String, _ value: [UInt8])
    /// Blocks until a member has set the key; nil where the round was given up.
    func wait(_ key: String) -> [UInt8]?
}

/// One membership of training workers, connected. A killed member shows as an error of the next sum; then the round is over.
package final class Round: @unchecked Sendable {
    package let rank: Int
    package let size: Int
    private let handle: OpaquePointer?
    private let rendezvous: any Rendezvous

    /// - Parameters:
    ///   - host: the address this member listens on.
    ///   - timeout: seconds after which a silent member ends the round.
    package init(rank: Int, size: Int, host: String, timeout: Int, rendezvous: any Rendezvous) throws(InputError) {
        self.rank = rank
        self.size = size
        self.rendezvous = rendezvous
        guard size > 1 else {
            handle = nil
            return
        }
        guard Self.meet("connect", rank, size, rendezvous) else {
            throw InputError(.unreachable, "the round ended before all had come")
        }
        let box = RendezvousBox(rendezvous)
        let owner = Unmanaged.passUnretained(box).toOpaque()
        let store = cgl_store(
            owner: owner,
            set: { owner, key, data, size in
                let box = Unmanaged<RendezvousBox>.fromOpaque(owner!).takeUnretainedValue()
                box.inner.set(String(cString: key!), [UInt8](UnsafeBufferPointer(start: data, count: size)))
            },
            wait: { owner, key, data, size in
                let box = Unmanaged<RendezvousBox>.fromOpaque(owner!).takeUnretainedValue()
                guard let value = box.inner.wait(String(cString: key!)), let memory = malloc(max(1, value.count)) else {
                    return 1
                }
                value.withUnsafeBytes {
                    memory.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(memory), byteCount: $0.count)
                }
                data!.pointee = memory.assumingMemoryBound(to: UInt8.self)
                size!.pointee = value.count
                return 0
            })
        var failure = ""
        handle = withExtendedLifetime(box) {
            var result: OpaquePointer?
            failure = withErrorText {
                result = cgl_connect(Int32(rank), Int32(size), host, Int32(timeout * 1000), store, $0, $1)
            }
            return result
        }
        guard handle != nil else {
            throw InputError(.unreachable, "the members of the round could not connect: \(failure)")
        }
    }

    deinit { if let handle { cgl_close(handle) } }

    /// Waits, without a deadline of its own, until all members are at this point; false where the round was given up.
    package func meet(_ place: String) -> Bool { size == 1 || Self.meet(place, rank, size, rendezvous) }

    private static func meet(_ place: String, _ rank: Int, _ size: Int, _ rendezvous: any Rendezvous) -> Bool {
        rendezvous.set("meet/\(place)/\(rank)", [1])
        return (0..<size).allSatisfy { rendezvous.wait("meet/\(place)/\($0)") != nil }
    }

    /// Each member's statement, by rank; nil where the round was given up.
    package func exchange(_ key: String, _ statement: [UInt8]) -> [[UInt8]]? {
        guard size > 1 else { return [statement] }
        rendezvous.set("\(key)/\(rank)", statement)
        var all: [[UInt8]] = []
        for rank in 0..<size {
            guard let statement = rendezvous.wait("\(key)/\(rank)") else { return nil }
            all.append(statement)
        }
        return all
    }

    /// Bytes of one member, as long as those that each gives.
    package func broadcast(_ bytes: [UInt8], from root: Int) throws(InputError) -> [UInt8] {
        guard size > 1 else { return bytes }
        // Sums of one number and zeros are that number.
        let channel = try channel(count: max(1024, (bytes.count + 7) / 8))
        let buffer = UnsafeMutableRawBufferPointer(start: channel.buffer.baseAddress, count: 8 * channel.buffer.count)
        buffer.initializeMemory(as: UInt8.self, repeating: 0)
        if rank == root { buffer.copyBytes(from: bytes) }
        try channel.sum()
        return Array(buffer.prefix(bytes.count))
    }

    /// A buffer summed over the members; all make the same ones in the same order.
    package func channel(count: Int) throws(InputError) -> Channel { try Channel(self, handle, count) }

    /// Numbers of all members added, exactly: integers do not depend on the order.
    package final class Channel: @unchecked Sendable {
        package let buffer: UnsafeMutableBufferPointer<Int64>
        private let round: Round
        /// For tests: a sum ends with an error before this slice, as where the connection is lost.
        package var slicesMost = Int.max
        private let handle: OpaquePointer?

        fileprivate init(_ round: Round, _ connection: OpaquePointer?, _ count: Int) throws(InputError) {
            self.round = round
            guard let connection else {
                handle = nil
                buffer = .allocate(capacity: count)
                buffer.initialize(repeating: 0)
                return
            }
            var made: OpaquePointer?
            let failure = withErrorText { made = cgl_channel_make(connection, count, $0, $1) }
            guard let made else {
                throw InputError(.unreachable, "the members of the round lost each other: \(failure)")
            }
            handle = made
            buffer = .init(start: cgl_channel_buffer(made), count: count)
        }

        deinit { if let handle { cgl_channel_free(handle) } else { buffer.deallocate() } }

        package func sum() throws(InputError) {
            guard let handle else { return }
            var code: Int32 = 0
            let failure = withErrorText { code = cgl_channel_sum(handle, slicesMost, $0, $1) }
            guard code == 0 else { throw InputError(.unreachable, "a member of the round was lost: \(failure)") }
        }
    }
}

private final class RendezvousBox {
    let inner: any Rendezvous
    init(_ inner: any Rendezvous) { self.inner = inner }
}

private func withErrorText(_ body: (UnsafeMutablePointer<CChar>, Int) -> Void) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { buffer in
        buffer.initialize(repeating: 0)
        body(buffer.baseAddress!, buffer.count)
        return String(cString: buffer.baseAddress!)
    }
}
