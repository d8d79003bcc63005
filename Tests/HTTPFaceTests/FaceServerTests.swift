import Foundation
import HTTPFace
import Hummingbird
import Logging
import NIOCore
import ServiceLifecycle
import Synchronization
import Testing

/// A server in this process, on loopback, and clients that do not do as they should.
@Suite struct FaceServerTests {
    /// Keeps what is logged.
    private struct KeptLog: LogHandler {
        final class Lines: Sendable { let text = Mutex<[String]>([]) }
        let lines: Lines
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.info
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }
        func log(event: LogEvent) { lines.text.withLock { $0.append("\(event.message)") } }
    }

    private static let host = "Host: localhost\r\n"
    private static let live = "GET /live HTTP/1.1\r\n\(host)\r\n"

    /// Times that nothing reaches here: other tests keep this one from running for minutes.
    private static let long = {
        var times = FaceTimes()
        (times.idle, times.body, times.answer, times.linger) = (.minutes(9), .minutes(9), .minutes(9), .minutes(9))
        return times
    }()

    /// Runs a server.
    ///
    /// - Returns: the lines of its log about connections.
    @discardableResult private func withServer(
        connections: Int = 64, times: FaceTimes = long, _ body: @escaping @Sendable (Int) async throws -> Void
    ) async throws -> [String] {
        let lines = KeptLog.Lines()
        let log = Logger(label: "test") { _ in KeptLog(lines: lines) }
        let router = Router(context: FaceContext.self)
        router.add(middleware: FaceMiddleware(policy: RequestPolicy(names: []), routes: Self.routes))
        router.get("live") { _, _ in "live" }
        let bodies = BodyReader(BodyBudget(total: 4 << 20, keptForSmall: 1 << 20))
        router.post("count") { request, context in
            try await bodies.withBody(of: request, context, upTo: 3 << 20, types: ["text/count"], as: [UInt8].self) {
                "\($0.count) bytes"
            }
        }
        var server = FaceServer(
            host: "127.0.0.1", port: 0, gate: ConnectionGate("test", max: connections, log: log))
        server.times = times
        let (ports, found) = AsyncStream.makeStream(of: Int.self)
        let service = try server.service(router, log: log) { found.yield($0.localAddress?.port ?? 0) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await service.run() }
            group.addTask {
                let port = try #require(await ports.first { _ in true })
                try await body(port)
            }
            try await group.next()
            group.cancelAll()
        }
        return lines.text.withLock { $0.filter { $0.hasPrefix("test: ") } }
    }

    private static let routes = RouteList(
        server: "a test", version: "1", routes: [.init("GET", "/live", ""), .init("POST", "/count", "")])

    @Test func aFloodOfConnectionsIsOutlived() async throws {
        let lines = try await withServer(connections: 16) { port in
            var flood: [LoopbackClient] = []
            for _ in 0..<48 { flood.append(try LoopbackClient(port: port)) }
            for _ in 0..<5 {
                let client = try LoopbackClient(port: port)
                await client.send(Self.live)
                let answer = await client.receive()
                #expect(answer.hasPrefix("HTTP/1.1 200"), "\(answer)")
            }
            withExtendedLifetime(flood) {}
        }
        #expect(lines.count >= 1 && lines.count <= 4 && lines[0].contains("all 16 connections"), "\(lines)")
    }

    /// While every connection has a request that does not end, others wait; the deadline makes room.
    @Test func halfSentRequestsMakeRoom() async throws {
        var times = FaceTimes()
        (times.body, times.linger) = (.seconds(1), .seconds(1))
        try await withServer(connections: 8, times: times) { port in
            var flood: [LoopbackClient] = []
            for _ in 0..<8 {
                let client = try LoopbackClient(port: port)
                await client.send("POST /count HTTP/1.1\r\n\(Self.host)Content-Length: 10\r\n\r\nabc")
                flood.append(client)
            }
            let client = try LoopbackClient(port: port)
            await client.send(Self.live)
            #expect(await client.receive().hasPrefix("HTTP/1.1 200"))
            for client in flood { #expect(await client.receive().hasPrefix("HTTP/1.1 408")) }
        }
    }

    @Test func slowHeadsAndIdleConnectionsAreClosed() async throws {
        var times = FaceTimes()
        times.idle = .seconds(1)
        try await withServer(times: times) { port in
            let (idle, slow) = (try LoopbackClient(port: port), try LoopbackClient(port: port))
            await slow.send("GET /li")
            let (first, second) = (await idle.receive(), await slow.receive())
            #expect(first == "" && second == "")
        }
    }

    @Test func aBodyIsAskedForOnlyWhereItIsTaken() async throws {
        try await withServer { port in
            func request(_ length: Int, _ fields: String = "") async throws -> LoopbackClient {
                let client = try LoopbackClient(port: port)
                await client.send(
                    "POST /count HTTP/1.1\r\n\(Self.host)Content-Length: \(length)\r\nExpect: 100-continue\r\n"
                        + fields + "\r\n")
                return client
            }
            let taken = try await request(3)
            #expect(await taken.receive() == "HTTP/1.1 100 Continue\r\n\r\n")
            await taken.send("abc")
            #expect(await taken.receive().hasSuffix("3 bytes"))
            await taken.send(Self.live)
            #expect(await taken.receive().hasSuffix("live"))
            let large = try await request(4 << 20).receive()
            #expect(large.hasPrefix("HTTP/1.1 413") && large.contains("at most 3145728 bytes"), "\(large)")
            #expect(try await request(3, "Content-Type: text/plain\r\n").receive().hasPrefix("HTTP/1.1 415"))
            #expect(try await request(3, "Origin: http://evil.example\r\n").receive().hasPrefix("HTTP/1.1 403"))
            // The budget is taken by another, and free again when that one is gone.
            var other: LoopbackClient? = try await request(2 << 20)
            #expect(await other?.receive().hasPrefix("HTTP/1.1 100") == true)
            let full = try await request(2 << 20).receive()
            #expect(full.hasPrefix("HTTP/1.1 503") && full.lowercased().contains("retry-after: 1"), "\(full)")
            #expect(try await request(3).receive().hasPrefix("HTTP/1.1 100"))
            other = nil
            var answer = ""
            for _ in 0..<200 where !answer.hasPrefix("HTTP/1.1 100") {
                answer = try await request(2 << 20).receive()
                try await Task.sleep(for: .milliseconds(50))
            }
            #expect(answer.hasPrefix("HTTP/1.1 100"), "\(answer)")
        }
    }

    /// A client that is still sending when it is rejected can read why.
    @Test func aRejectionArrives() async throws {
        try await withServer { port in
            let client = try LoopbackClient(port: port)
            await client.send("POST /count HTTP/1.1\r\n\(Self.host)Content-Length: 4194304\r\n\r\n")
            for _ in 0..<16 { await client.send(String(repeating: "x", count: 1 << 18)) }
            #expect(await client.receive().hasPrefix("HTTP/1.1 413"))
        }
    }

    @Test func whatIsNotServedIsNamed() async throws {
        try await withServer { port in
            func answer(_ method: String, _ path: String) async throws -> String {
                let client = try LoopbackClient(port: port)
                await client.send("\(method) \(path) HTTP/1.1\r\n\(Self.host)\r\n")
                return await client.receive()
            }
            let index = try await answer("GET", "/")
            #expect(index.hasPrefix("HTTP/1.1 200") && index.contains("/count") && index.contains("documents"))
            let unknown = try await answer("GET", "/nothing")
            #expect(unknown.hasPrefix("HTTP/1.1 404") && unknown.contains("GET / lists"))
            let head = try await answer("HEAD", "/live")
            #expect(head.hasPrefix("HTTP/1.1 405") && head.contains("Allow: GET") && head.hasSuffix("\r\n\r\n"))
            let options = try await answer("OPTIONS", "/count")
            #expect(options.hasPrefix("HTTP/1.1 405") && options.contains("Allow: POST"))
            #expect(!options.lowercased().contains("access-control"))
        }
    }
}
