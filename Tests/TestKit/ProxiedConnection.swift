import Foundation
import Synchronization

/// One client's connection through the proxy: two ways, each with a thread that takes bytes in and one that gives them
/// out when due.
// SAFETY: of what the four threads share, only these change: `left`, which is atomic, `closed` and `framing`, which are
// mutexes, and the pipes, which have a lock of their own. The last of the threads alone closes the sockets.
final class ProxiedConnection: @unchecked Sendable {
    /// Bytes between the two ends.
    // SAFETY: everything that changes is touched only while `condition` is locked.
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
        (requests: XrootdFrames(isRequest: true), answers: XrootdFrames(isRequest: false), rejections: [[UInt8]]()))

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

    /// Takes rejected opens out of what the client sends, and puts the rejections between the server's answers.
    private func forward(_ bytes: [UInt8], _ pipe: Pipe, _ way: ImpairmentProxy.Way) {
        // Under the lock: no rejection shall come between the halves of an answer.
        framing.withLock { framing in
            if way == .down {
                framing.answers.feed(bytes)
                var all = bytes
                if framing.answers.isBetween {
                    all += framing.rejections.joined()
                    framing.rejections = []
                }
                return pipe.put(all, due: proxy.due(all.count, .down))
            }
            guard let opens = framing.requests.takeFrames(bytes) else {
                return pipe.put(bytes, due: proxy.due(bytes.count, .up))
            }
            var passed: [UInt8] = []
            for frame in opens {
                guard frame.isOpen, proxy.readsOpens, proxy.rejectsOpen() else {
                    passed += frame.bytes
                    continue
                }
                let text = Array("the test rejects this open\0".utf8)
                // Stream, status kXR_error, length; kXR_FSError, text.
                let rejection =
                    Array(frame.bytes[..<2]) + [0x0F, 0xA3] + Self.big(UInt32(4 + text.count)) + Self.big(3005) + text
                if framing.answers.isBetween {
                    down.put(rejection, due: proxy.due(rejection.count, .down))
                } else {
                    framing.rejections.append(rejection)
                }
            }
            if !passed.isEmpty { pipe.put(passed, due: proxy.due(passed.count, .up)) }
        }
    }

    private static func big(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }
}
