import Dispatch
import Foundation

/// A TCP connection to this machine that sends exactly what it is given. It waits for seconds at most, and on threads
/// of its own: the server's answers need those of the cooperative pool.
final class LoopbackClient: Sendable {
    private let descriptor: Int32
    private static let queue = DispatchQueue(label: "loopback-client", attributes: .concurrent)

    struct Failure: Error { let code: Int32 }

    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var time = timeval(tv_sec: 300, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw Failure(code: errno) }
    }

    deinit { close(descriptor) }

    /// Sends all of it, or as much as the other side takes.
    func send(_ text: String) async { await Self.wait { self.sendNow(text) } }

    /// What arrives next; empty where the other side has closed, and "timeout" where nothing arrived in time.
    func receive() async -> String { await Self.wait { self.receiveNow() } }

    private static func wait<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in queue.async { continuation.resume(returning: body()) } }
    }

    private func sendNow(_ text: String) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let sent = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard sent > 0 else { return }
            bytes = bytes.dropFirst(sent)
        }
    }

    private func receiveNow() -> String {
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        return count < 0 ? (errno == EAGAIN ? "timeout" : "") : String(decoding: bytes.prefix(count), as: UTF8.self)
    }
}
