import Foundation
import Synchronization

/// One client's connection through the proxy: two ways, each with a thread that takes bytes in and one that gives them
/// out when due.
final class ProxiedConnection: @unchecked Sendable {
    /// Bytes between the two ends.
    private final class Pipe: @unchecked Sendable {
        private let condition = NSCondition()
        private var pieces: [(due: Double, bytes: [UInt8])] = []
        private var next = 0
        private var held = 0
        private var closed = false
        private static let most = 64 << 20

        func put(_ bytes: [UInt8], due: Double) {
            condition.withLock {
                while held > Self.most, !closed { condition.wait() }
                // Nothing overtakes what came before it.
                pieces.append((max(due, pieces.last?.due ?? 0), bytes))
                held += bytes.count
                condition.broadcast()
            }
        }

        func close() {
            condition.withLock {
                closed = true
                condition.broadcast()
            }
        }

        /// nil at the end.
        func take() -> (due: Double, bytes: [UInt8])? {
            condition.withLock {
                while next == pieces.count, !closed { condition.wait() }
                guard next < pieces.count else { return nil }
                let piece = pieces[next]
                next += 1
                if next > 256 {
                    pieces.removeFirst(next)
                    next = 0
                }
                held -= piece.bytes.count
                condition.broadcast()
                return piece
            }
        }
    }

    private let proxy: ImpairmentProxy
    private let client: Int32
    private let server: Int32
    private let up = Pipe()
    private let down = Pipe()
    private let left = Atomic(4)
    private let closed = Mutex(false)
    private let framing = Mutex(
        (requests: XrootdFrames(isRequest: true), answers: XrootdFrames(isRequest: false), refusals: [[UInt8]]()))

    init?(_ proxy: ImpairmentProxy, client: Int32, upstream: UInt16) {
        self.proxy = proxy
        self.client = client
        server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = ImpairmentProxy.loopback(upstream)
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else {
            close(server)
            Self.abort(client)
            return nil
        }
        var yes: Int32 = 1
        for end in [client, server] { setsockopt(end, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, 4) }
    }

    /// Closes with a reset.
    static func abort(_ end: Int32) {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(end, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
        close(end)
    }

    func start() {
        Thread { [self] in takeIn(client, up, .up) }.start()
        Thread { [self] in giveOut(up, server, .up) }.start()
        Thread { [self] in takeIn(server, down, .down) }.start()
        Thread { [self] in giveOut(down, client, .down) }.start()
    }

    func reset() {
        // Once closed, the numbers may be another connection's.
        closed.withLock { closed in if !closed { shutDown() } }
        up.close()
        down.close()
    }

    private func shutDown() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
        for end in [client, server] { shutdown(end, Int32(SHUT_RDWR)) }
    }

    private func takeIn(_ end: Int32, _ pipe: Pipe, _ way: ImpairmentProxy.Way) {
        var buffer = [UInt8](repeating: 0, count: 128 << 10)
        var total = 0
        while true {
            let count = recv(end, &buffer, buffer.count, 0)
            guard count > 0 else { break }
            total += count
            forward(Array(buffer[..<count]), pipe, way)
            if way == .down, let limit = proxy.resetEvery, total >= limit {
                reset()
                break
            }
        }
        pipe.close()
        ended()
    }

    private func giveOut(_ pipe: Pipe, _ end: Int32, _ way: ImpairmentProxy.Way) {
        while let piece = pipe.take() {
            let wait = piece.due - ImpairmentProxy.now()
            if wait > 0 { usleep(UInt32(wait * 1e6)) }
            guard proxy.passes() else { break }
            var sent = 0
            while sent < piece.bytes.count {
                let count = piece.bytes.withUnsafeBytes {
                    send(end, $0.baseAddress! + sent, piece.bytes.count - sent, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else {
                    reset()
                    return ended()
                }
                sent += count
            }
            if way == .down { proxy.passed(piece.bytes.count) }
        }
        shutdown(end, Int32(SHUT_WR))
        ended()
    }

    /// The last of the four threads closes the ends.
    private func ended() {
        guard left.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return }
        closed.withLock { closed in
            closed = true
            close(client)
            close(server)
        }
        proxy.ended(self)
    }

    // MARK: Opens

    /// Takes refused opens out of what the client says, and puts the refusals between the server's answers.
    private func forward(_ bytes: [UInt8], _ pipe: Pipe, _ way: ImpairmentProxy.Way) {
        // Under the lock: no refusal shall come between the halves of an answer.
        framing.withLock { framing in
            if way == .down {
                framing.answers.feed(bytes)
                var all = bytes
                if framing.answers.isBetween {
                    all += framing.refusals.joined()
                    framing.refusals = []
                }
                return pipe.put(all, due: proxy.due(all.count, .down))
            }
            guard let opens = framing.requests.takeFrames(bytes) else {
                return pipe.put(bytes, due: proxy.due(bytes.count, .up))
            }
            var passed: [UInt8] = []
            for frame in opens {
                guard frame.isOpen, proxy.readsOpens, proxy.refusesOpen() else {
                    passed += frame.bytes
                    continue
                }
                let text = Array("the test refuses this open\0".utf8)
                // Stream, status kXR_error, length; kXR_FSError, text.
                let refusal =
                    Array(frame.bytes[..<2]) + [0x0F, 0xA3] + Self.big(UInt32(4 + text.count)) + Self.big(3005) + text
                if framing.answers.isBetween {
                    down.put(refusal, due: proxy.due(refusal.count, .down))
                } else {
                    framing.refusals.append(refusal)
                }
            }
            if !passed.isEmpty { pipe.put(passed, due: proxy.due(passed.count, .up)) }
        }
    }

    private static func big(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }
}

/// Where the messages of an XRootD connection begin and end.
struct XrootdFrames {
    struct Frame {
        var bytes: [UInt8]
        var isOpen: Bool
    }

    private let isRequest: Bool
    private var held: [UInt8] = []
    private var greeted = false
    /// Of the message that is passing.
    private var left = 0
    /// Something that is not XRootD's protocol: not looked at any more.
    private var foreign = false

    init(isRequest: Bool) { self.isRequest = isRequest }

    /// No message is halfway.
    var isBetween: Bool { left == 0 && held.isEmpty && !foreign }

    private func number(_ place: Int) -> Int { held[place..<place + 4].reduce(0) { $0 << 8 | Int($1) } }

    /// Follows answers: 8 bytes of head, then as many as it says; a status answer (4007) says in its body how many
    /// follow that.
    mutating func feed(_ bytes: [UInt8]) {
        guard !foreign else { return }
        var rest = bytes[...]
        while !rest.isEmpty {
            if left > 0 {
                let taken = min(left, rest.count)
                left -= taken
                rest = rest.dropFirst(taken)
                continue
            }
            held.append(rest.removeFirst())
            if held.count == 8, held[2] == 0x0F, held[3] == 0xA7 { continue }
            if held.count == 8 {
                left = number(4)
                held = []
            } else if held.count == 24 {
                left = number(4) - 16 + number(20)
                held = []
            }
            if left > 1 << 31 || left < 0 { foreign = true }
        }
    }

    /// Whole requests, as they become complete: 20 bytes of greeting, then 24 bytes of head with the length of what
    /// follows.
    /// - Returns: nil where this is no XRootD connection.
    mutating func takeFrames(_ bytes: [UInt8]) -> [Frame]? {
        guard !foreign else { return nil }
        if !greeted, held.isEmpty, bytes.first != 0 {
            foreign = true
            return nil
        }
        held += bytes
        var frames: [Frame] = []
        if !greeted {
            guard held.count >= 20 else { return [] }
            greeted = true
            frames.append(Frame(bytes: Array(held[..<20]), isOpen: false))
            held.removeFirst(20)
        }
        while held.count >= 24 {
            let length = 24 + number(20)
            guard held.count >= length else { break }
            frames.append(Frame(bytes: Array(held[..<length]), isOpen: held[2] == 0x0B && held[3] == 0xC2))
            held.removeFirst(length)
        }
        return frames
    }
}
