import Access
import Bytes
import Cluster
import ConfigurationFiles
import Foundation
package import HTTPFace
package import Hummingbird
import JobFile
import RestInterface
import Scheduling

/// The REST interface for people, under `/api/v1`: stateless over the coordinator, which takes commands, and the query
/// service, which answers what only reads.
package struct RestService: Sendable {
    let coordinator: Coordinator
    let access: AccessGuard
    private let policy: RequestPolicy
    /// All submissions together take so many bytes at most while they are received and read.
    private let bodies = BodyReader(BodyBudget(total: 64 << 20, keptForSmall: 16 << 20))
    /// Bytes of a submitted job file at most.
    private static let maxSubmission = 8 << 20

    /// - Parameter policy: whose requests are answered.
    package init(
        coordinator: Coordinator, access: AccessGuard, policy: RequestPolicy = RequestPolicy(names: [])
    ) {
        self.coordinator = coordinator
        self.access = access
        self.policy = policy
    }

    private var queries: QueryService { coordinator.queries }

    /// All routes, each behind the role that it needs.
    package func router() -> Router<FaceContext> {
        let router = Router(context: FaceContext.self)
        router.add(middleware: FaceMiddleware(policy: policy, routes: routes))
        func group(_ role: Role) -> RouterGroup<FaceContext> {
            router.group(RouterPath(RestPath.root)).add(middleware: RoleMiddleware(access: access, role: role)).add(
                middleware: FailureMiddleware())
        }
        addReading(group(.reader))
        addCommands(group(.submitter))
        group(.admin).post("workers/:id/drain") { _, context in
            let worker: WorkerID = Self.id(context)
            guard try await coordinator.drain(worker) else {
                return Self.failure("no worker \(worker) is joined", .notFound)
            }
            return Self.response(try await queries.json { $0.workers })
        }
        return router
    }

    /// What the coordinator serves.
    package var routes: RouteList {
        RouteList(
            server: "a beamline coordinator", version: coordinator.settings.version,
            routes: [
                ("GET", "/jobs", "all jobs"), ("POST", "/jobs", "submits a job (application/json)"),
                ("GET", "/jobs/:id", "a job's status"), ("DELETE", "/jobs/:id", "cancels it"),
                ("GET", "/jobs/:id/bundle", "the finished model (application/x-tar)"),
                ("GET", "/jobs/:id/run", "which workers trained it"), ("GET", "/jobs/:id/plan", "its data plan"),
                ("GET", "/jobs/:id/specs", "the statistics of its branches"),
                ("GET", "/stories/:subject/:id", "what happened to a job, a chunk or a worker"),
                ("GET", "/workers", "the joined workers"), ("POST", "/workers/:id/drain", "drains a worker"),
                ("GET", "/sites", "the storage sites"),
            ].map { .init($0, RestPath.root + $1, $2) }
                + JobCommand.allCases.map {
                    .init("POST", RestPath.jobs + "/:id/\($0.rawValue)", "\($0.rawValue)s a job")
                })
    }

    // MARK: Commands

    private func addCommands(_ api: RouterGroup<FaceContext>) {
        api.post("jobs") { request, context in
            try await bodies.withBody(
                of: request, context, upTo: Self.maxSubmission, types: ["application/json"], as: Data.self
            ) { try await submit($0) }
        }
        for command in JobCommand.allCases {
            api.post("jobs/:id/\(command.rawValue)") { request, context in
                try await self.command(command, request, context)
            }
        }
        // The older spelling of `cancel`.
        api.delete("jobs/:id") { request, context in try await self.command(.cancel, request, context) }
    }

    private func command(
        _ command: JobCommand, _ request: Request, _ context: FaceContext
    ) async throws -> Response {
        let id: JobID = Self.id(context)
        let without = request.uri.queryParameters.get(RestQuery.withoutUnreadable) == "true"
        switch try await coordinator.command(command, job: id, withoutUnreadable: without) {
        case nil: return Self.unknownJob(context)
        case true?: return try await status(context)
        case false?:
            let stage = try await queries.read { try $0.stage(id)?.rawValue ?? "unknown" }
            return Self.failure("job \(id) is \(stage): \(command.rawValue) is not possible", .conflict)
        }
    }

    private func submit(_ body: Data) async throws -> Response {
        do {
            // Parsing a large job file takes a while.
            let file = try await queries.read { _ in
                guard let submission = try? RestJSON.decode(JobSubmission.self, from: body)
                else {
                    return ParsedJobFile?.none
                }
                return try JobFileParser.parse(
                    submission.description, baseDirectory: submission.baseDirectory,
                    homeDirectory: submission.homeDirectory)
            }
            guard let file else {
                return Self.failure(
                    "expected JSON with description (the job file's text) and baseDirectory", .badRequest)
            }
            let submitted = SubmittedJob(id: try await coordinator.submit(file.job, notes: file.notes))
            return Self.response(try await queries.json { _ in submitted }, .created)
        } catch let error as FileMistakes {
            return Self.json(
                RestFailure(
                    error: "the job file has mistakes",
                    mistakes: error.mistakes.map { .init(line: $0.line, text: $0.text) }), .unprocessableContent)
        } catch let error as InputError where error.code == .input {
            return Self.failure(error.description, .unprocessableContent)
        }
    }

    // MARK: Reading

    private func addReading(_ api: RouterGroup<FaceContext>) {
        api.get("jobs") { _, _ in Self.response(try await queries.json { try $0.statuses() }) }
        api.get("jobs/:id") { _, context in try await status(context) }
        api.get("jobs/:id/bundle") { _, context in
            let id: JobID = Self.id(context)
            guard let bytes = try await queries.read({ try $0.bundle(id) }) else { return Self.noModel(context) }
            return Self.response(ByteBuffer(bytes: bytes), type: "application/x-tar")
        }
        api.get("jobs/:id/run") { _, context in
            let id: JobID = Self.id(context)
            guard let record = try await queries.read({ try $0.runRecord(id) }) else { return Self.noModel(context) }
            return Self.response(try await queries.json { _ in record })
        }
        api.get("jobs/:id/plan") { _, context in
            let id: JobID = Self.id(context)
            guard let document = try await queries.read({ try $0.dataPlan(id) }) else {
                return Self.unknownJob(context)
            }
            return Self.response(ByteBuffer(bytes: document))
        }
        api.get("jobs/:id/specs") { request, context in try await specs(request, context) }
        api.get("stories/:subject/:id") { _, context in try await story(context) }
        api.get("workers") { _, _ in Self.response(try await queries.json { $0.workers }) }
        api.get("sites") { _, _ in Self.response(try await queries.json { $0.sites }) }
    }

    private func status(_ context: FaceContext) async throws -> Response {
        let id: JobID = Self.id(context)
        guard let status = try await queries.read({ try $0.status(id) }) else { return Self.unknownJob(context) }
        return Self.response(try await queries.json { _ in status })
    }

    private func specs(_ request: Request, _ context: FaceContext) async throws -> Response {
        let format = request.uri.queryParameters.get(RestQuery.format)
        if let format, SpecsFormat(rawValue: format) == nil {
            let known = SpecsFormat.allCases.map(\.rawValue).joined(separator: ", ")
            return Self.failure("format: expected \(known), or nothing; found \(format)", .badRequest)
        }
        do {
            let document = try await queries.specs(
                Self.id(context), format: format.flatMap(SpecsFormat.init(rawValue:)))
            return document.map { Self.response($0) } ?? Self.unknownJob(context)
        } catch let error as InputError where error.code != .denied {
            return Self.failure(error.description, .conflict)
        }
    }

    private func story(_ context: FaceContext) async throws -> Response {
        guard let subject = Self.subject(context), let story = try await queries.read({ try $0.story(subject) }) else {
            let (name, id) = (context.parameters.get("subject") ?? "", context.parameters.get("id") ?? "")
            return Self.failure("no story of \(name) \(id)", .notFound)
        }
        return Self.response(try await queries.json { _ in story })
    }

    // MARK: Answers

    /// The number in the address; one that nothing has where it is none.
    private static func id<ID: Identifier>(_ context: FaceContext) -> ID {
        ID(context.parameters.get("id", as: Int64.self) ?? -1)
    }

    private static func subject(_ context: FaceContext) -> StorySubject? {
        switch context.parameters.get("subject") {
        case "job": .job(id(context))
        case "chunk", "task": .task(id(context))
        case "worker": .worker(id(context))
        case "ledger": .ledger
        case .some, nil: nil
        }
    }

    private static func unknownJob(_ context: FaceContext) -> Response {
        failure("no job \(context.parameters.get("id") ?? "")", .notFound)
    }

    private static func noModel(_ context: FaceContext) -> Response {
        failure("job \(context.parameters.get("id") ?? "") has no finished model", .notFound)
    }

    static func failure(_ error: String, _ status: HTTPResponse.Status) -> Response {
        json(RestFailure(error: error), status)
    }

    /// For failures, which are short.
    private static func json(_ failure: RestFailure, _ status: HTTPResponse.Status) -> Response {
        response(ByteBuffer(bytes: (try? RestJSON.encode(failure)) ?? Data()), status)
    }

    private static func response(
        _ body: ByteBuffer, _ status: HTTPResponse.Status = .ok, type: String = "application/json"
    ) -> Response {
        Response(status: status, headers: [.contentType: type], body: .init(byteBuffer: body))
    }
}

/// Turns whatever a route throws into an answer with one sentence.
private struct FailureMiddleware: RouterMiddleware {
    typealias Context = FaceContext

    func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        do { return try await next(request, context) } catch let error as any HTTPResponseError {
            throw error
        } catch let error as InputError {
            return RestService.failure(error.description, error.code == .denied ? .serviceUnavailable : .conflict)
        } catch let error as EncodingError {
            return RestService.failure("the answer cannot be written as JSON: \(error)", .internalServerError)
        } catch is CancellationError {
            return RestService.failure("the coordinator is shutting down", .serviceUnavailable)
        } catch {
            return RestService.failure("the ledger cannot be read or written: \(error)", .serviceUnavailable)
        }
    }
}
