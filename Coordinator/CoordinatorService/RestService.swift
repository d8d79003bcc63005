import Access
import Bytes
import Cluster
import ConfigurationFiles
import Foundation
import Hummingbird
import HummingbirdTLS
import JobFile
import Ledger
import Logging
import Scheduling

/// The REST face that people speak to, under `/api/v1`; stateless over the coordinator.
struct RestService {
    let coordinator: Coordinator
    let access: AccessGuard

    struct Submission: Codable {
        var description: String
        var baseDirectory: String?
    }
    struct Submitted: Codable { var id: JobID }
    struct Failure: Codable {
        var error: String
        var mistakes: [FileMistake]?
    }

    func router() -> Router<BasicRequestContext> {
        let router = Router()
        func group(_ role: Role) -> RouterGroup<BasicRequestContext> {
            router.group("api/v1").add(middleware: RoleMiddleware(access: access, role: role)).add(
                middleware: TroubleMiddleware())
        }
        addReading(group(.reader))
        addSteering(group(.submitter))
        group(.admin).post("workers/:id/drain") { _, context in
            let worker: WorkerID = Self.id(context)
            guard try await coordinator.drain(worker) else {
                return try Self.json(Failure(error: "no worker \(worker) is joined"), .notFound)
            }
            return try Self.json(await coordinator.workerStatuses())
        }
        return router
    }

    private func addSteering(_ api: RouterGroup<BasicRequestContext>) {
        api.post("jobs") { request, _ in try await submit(request) }
        api.delete("jobs/:id") { _, context in
            guard let status = try await coordinator.status(Self.id(context)) else { return Self.unknownJob(context) }
            guard try await coordinator.command(.cancel, job: status.id) == true else {
                return try Self.json(Failure(error: "job \(status.id) is \(status.stage) already"), .conflict)
            }
            return try Self.json(try await coordinator.status(status.id))
        }
        for command in Coordinator.Command.allCases {
            api.post("jobs/:id/\(command.rawValue)") { request, context in
                try await self.command(command, request, context)
            }
        }
    }

    private func addReading(_ api: RouterGroup<BasicRequestContext>) {
        api.get("jobs") { _, _ in try await Self.json(coordinator.statuses()) }
        api.get("jobs/:id") { _, context in
            guard let status = try await coordinator.status(Self.id(context)) else { return Self.unknownJob(context) }
            return try Self.json(status)
        }
        api.get("jobs/:id/bundle") { _, context in
            let job: JobID = Self.id(context)
            guard let bytes = try await coordinator.bundle(job) else {
                return try Self.json(Failure(error: "job \(job) has no finished model"), .notFound)
            }
            return Response(
                status: .ok, headers: [.contentType: "application/x-tar"],
                body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
        }
        api.get("jobs/:id/run") { _, context in
            let job: JobID = Self.id(context)
            guard let record = try await coordinator.runRecord(job) else {
                return try Self.json(Failure(error: "job \(job) has no finished model"), .notFound)
            }
            return try Self.json(record)
        }
        api.get("jobs/:id/specs") { request, context in
            do {
                guard
                    let data = try await coordinator.specs(
                        Self.id(context), format: request.uri.queryParameters.get("format"))
                else {
                    return Self.unknownJob(context)
                }
                return Self.response(data)
            } catch let error as InputError { return try Self.json(Failure(error: error.description), .conflict) }
        }
        api.get("stories/:subject/:id") { _, context in
            guard let subject = Self.subject(context), let story = try await coordinator.story(subject) else {
                return try Self.json(
                    Failure(
                        error:
                            "no story of \(context.parameters.get("subject") ?? "") \(context.parameters.get("id") ?? "")"
                    ), .notFound)
            }
            return try Self.json(story)
        }
        api.get("workers") { _, _ in try Self.json(await coordinator.workerStatuses()) }
        api.get("sites") { _, _ in try Self.json(await coordinator.siteStatuses()) }
    }

    private func command(
        _ command: Coordinator.Command, _ request: Request, _ context: BasicRequestContext
    ) async throws -> Response {
        guard let status = try await coordinator.status(Self.id(context)) else { return Self.unknownJob(context) }
        let without = request.uri.queryParameters.get("withoutUnreadable") == "true"
        guard try await coordinator.command(command, job: status.id, withoutUnreadable: without) == true else {
            return try Self.json(
                Failure(error: "job \(status.id) is \(status.stage): it cannot be told to \(command.rawValue)"),
                .conflict)
        }
        return try Self.json(try await coordinator.status(status.id))
    }

    private func submit(_ request: Request) async throws -> Response {
        let body = try await request.body.collect(upTo: 8 << 20)
        guard let submission = try? JSONDecoder().decode(Submission.self, from: Data(body.readableBytesView)) else {
            return try Self.json(
                Failure(error: "expected JSON with description (the job file's text) and baseDirectory"), .badRequest)
        }
        do {
            let job = try JobFileParser.parse(submission.description, baseDirectory: submission.baseDirectory)
            return try Self.json(Submitted(id: try await coordinator.submit(job)), .created)
        } catch let error as FileMistakes {
            return try Self.json(
                Failure(error: "the job file has mistakes", mistakes: error.mistakes), .unprocessableContent)
        } catch let error as InputError {
            return try Self.json(Failure(error: error.description), .unprocessableContent)
        }
    }

    /// The number in the address; one that nothing has where it is none.
    private static func id<ID: Identifier>(_ context: BasicRequestContext) -> ID {
        ID(context.parameters.get("id", as: Int64.self) ?? -1)
    }

    private static func subject(_ context: BasicRequestContext) -> StorySubject? {
        switch context.parameters.get("subject") {
        case "job": .job(id(context))
        case "chunk", "task": .task(id(context))
        case "worker": .worker(id(context))
        case "ledger": .ledger
        case .some, nil: nil
        }
    }

    private static func unknownJob(_ context: BasicRequestContext) -> Response {
        let failure = Failure(error: "no job \(context.parameters.get("id") ?? "")")
        return (try? json(failure, .notFound)) ?? Response(status: .notFound)
    }

    static func json(_ value: some Encodable, _ status: HTTPResponse.Status = .ok) throws -> Response {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return response(try encoder.encode(value), status)
    }

    private static func response(_ data: Data, _ status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status, headers: [.contentType: "application/json"],
            body: .init(byteBuffer: ByteBuffer(bytes: data)))
    }
}

/// What the ledger throws is told in a sentence.
private struct TroubleMiddleware: RouterMiddleware {
    typealias Context = BasicRequestContext

    func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        do { return try await next(request, context) } catch let error as any HTTPResponseError {
            throw error
        } catch let error as InputError {
            return try RestService.json(
                RestService.Failure(error: error.description), error.code == .denied ? .serviceUnavailable : .conflict)
        } catch let error as EncodingError {
            return try RestService.json(
                RestService.Failure(error: "the answer cannot be written as JSON: \(error)"), .internalServerError)
        } catch {
            return try RestService.json(
                RestService.Failure(error: "the ledger cannot be read or written: \(error)"), .serviceUnavailable)
        }
    }
}

/// Where a coordinator listens, and to whom.
package struct Listening: Sendable {
    package var host: String
    package var workersPort: Int
    package var restPort: Int
    /// Workers and people are spoken to over TLS where there is one.
    package var certificate: ServerCertificate?
    /// Whose tokens are asked for; nil where everybody is let in.
    package var tokens: TokenStore?

    package init(
        host: String, workersPort: Int, restPort: Int, certificate: ServerCertificate? = nil, tokens: TokenStore? = nil
    ) {
        self.host = host
        self.workersPort = workersPort
        self.restPort = restPort
        self.certificate = certificate
        self.tokens = tokens
    }
}

/// Runs a coordinator: gRPC for workers, REST for people, timers. Returns when the task is cancelled.
package func runCoordinator(_ coordinator: Coordinator, _ listening: Listening, log: Logger) async throws {
    let access = AccessGuard(tokens: listening.tokens)
    let application = Application(
        router: RestService(coordinator: coordinator, access: access).router(),
        server: try listening.certificate.map { try .tls(tlsConfiguration: $0.tlsConfiguration()) } ?? .http1(),
        configuration: .init(address: .hostname(listening.host, port: listening.restPort)), logger: log)
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await serveWorkers(coordinator, listening, access, log: log) }
        group.addTask { try await application.runService() }
        group.addTask { try await coordinator.run() }
        defer { group.cancelAll() }
        // Whichever ends first ends all.
        try await group.next()
    }
}
