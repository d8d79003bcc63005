package import Bytes
import CGloo
import Glibc

/// The connected members of one training round. A member that is killed shows as an error of the next sum; then the
/// round is over.
// SAFETY: the stored properties never change; Gloo's context is used by the one thread that trains.
package final class ProcessGroup: Communicator, @unchecked Sendable {
    package let rank: Int
    package let size: Int
    private let handle: OpaquePointer?
    private let rendezvous: any Rendezvous

    /// Connects the members; returns when all have come.
    ///
    /// - Parameters:
    ///   - rank: this member's number, from 0.
    ///   - size: the number of members.
    ///   - host: the address that this member listens on.
    ///   - timeout: seconds after which a silent member ends the round.
    ///   - rendezvous: by which the members find each other.
    /// - Throws: `InputError` with `.unreachable` where they could not connect.
    package init(
        rank: Int, size: Int, host: String, timeout: Int, rendezvous: any Rendezvous
    ) throws(InputError) {
        self.rank = rank
        self.size = size
        self.rendezvous = rendezvous
        guard size > 1 else {
            handle = nil
            return
        }
        guard Self.barrier("connect", rank: rank, size: size, rendezvous) else {
            throw InputError(.unreachable, "the round ended before all members had come")
        }
        let box = RendezvousBox(rendezvous)
        var result: OpaquePointer?
        let failure = withExtendedLifetime(box) {
            let store = box.store
            return withErrorText {
                result = cgl_connect(Int32(rank), Int32(size), host, Int32(timeout * 1000), store, $0, $1)
            }
        }
        handle = result
        guard handle != nil else {
            throw InputError(.unreachable, "the members of the round could not connect: \(failure)")
        }
    }

    deinit { if let handle { cgl_close(handle) } }

    /// Waits until all members are at this point: each sets a key of its own and waits for the others' keys.
    package func barrier(_ name: String) -> Bool {
        size == 1 || Self.barrier(name, rank: rank, size: size, rendezvous)
    }

    private static func barrier(_ name: String, rank: Int, size: Int, _ rendezvous: any Rendezvous) -> Bool {
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

/// A rendezvous as C sees it.
private final class RendezvousBox {
    let inner: any Rendezvous

    init(_ inner: any Rendezvous) { self.inner = inner }

    /// Callbacks to this object, which must outlive them.
    var store: cgl_store {
        cgl_store(
            owner: Unmanaged.passUnretained(self).toOpaque(),
            set: { owner, key, data, size in
                guard let owner, let key else { return }
                let box = Unmanaged<RendezvousBox>.fromOpaque(owner).takeUnretainedValue()
                box.inner.set(String(cString: key), [UInt8](UnsafeBufferPointer(start: data, count: size)))
            },
            wait: { owner, key, data, size in
                guard let owner, let key, let data, let size else { return 1 }
                let box = Unmanaged<RendezvousBox>.fromOpaque(owner).takeUnretainedValue()
                guard let value = box.inner.wait(String(cString: key)), let memory = malloc(max(1, value.count)) else {
                    return 1
                }
                value.withUnsafeBytes {
                    memory.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(memory), byteCount: $0.count)
                }
                data.pointee = memory.assumingMemoryBound(to: UInt8.self)
                size.pointee = value.count
                return 0
            })
    }
}
