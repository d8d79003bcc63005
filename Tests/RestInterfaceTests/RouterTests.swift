import Access
import Cluster
import CoordinatorService
import Foundation
import HTTPFace
import Hummingbird
import HummingbirdTesting
import Ledger
import Logging
import RestInterface
import Scheduling
import Specs
import Testing

/// Every route of the coordinator, in this process, over a real ledger.
@Suite struct RouterTests {
    /// A ledger's directory with one finished job of one file; another job can be submitted.
    private final class State: Sendable {
        let directory = FileManager.default.temporaryDirectory.appending(
            path: "beamline-rest-\(UUID().uuidString.prefix(8))")
        /// The report of the finished job's evaluation.
        static var report: EvaluationReport {
            var report = EvaluationReport()
            report.test.metrics = PartMetrics(events: 4, loss: 0.5, auc: nil, accuracy: 0.75)
            return report
        }
        /// The number of the finished job.
        let done: JobID

        init() throws {
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
            let ledger = try Ledger(path: directory.appending(path: "ledger.sqlite").path)
            let blobs = try BlobStore(directory.appending(path: "blobs"))
            let bundle = try blobs.put(Array("a model".utf8))
            let job = try ledger.addJob(
                JobDescription(
                    name: "finished", datasets: [.init(name: "a", label: 0, tree: "t", files: ["root://s//f.root"])]),
                at: 100)
            done = job
            func assignment(_ task: Int, _ unit: UnitID) -> Assignment {
                Assignment(
                    lease: LeaseName(task: TaskID(task), token: Token(task)),
                    extent: TaskExtent(job: job, unit: unit, first: 0, end: 1), worker: WorkerID(1))
            }
            func counted(_ task: Assignment, _ result: TaskResult, _ specs: [UInt8] = []) -> LedgerWrite {
                .task(
                    .count(
                        CountedReceipt(assignment: task, digest: "d", result: result, specs: specs, completes: true)))
            }
            let list = assignment(1, .pattern(0))
            try ledger.commit(
                [
                    .job(job, .stage(.list, error: nil)), .task(.assign(list, stage: .list)),
                    counted(list, .listed([FileReplicas("root://s//f.root")])),
                    .job(job, .stage(.survey, error: nil)),
                ], at: 101)
            let file = try #require(ledger.files(job).first?.id)
            let survey = assignment(2, .file(file))
            let chunk = assignment(3, .file(file))
            let found = Survey(
                bytes: 9, identity: "i", entries: 5, boundaries: [0, 5], clusters: [0, 5],
                branches: [.init(name: "x", type: "float", fixedValues: 1, itemValues: 1, unsupported: nil)])
            var statistics = BranchStatistics()
            (statistics.values, statistics.max, statistics.mean) = (5, 2, 1)
            let empty = PartialSpecs(branches: [BranchStatistics()])
            let specs = SpecsCoding.encode([
                PartTable(train: PartialSpecs(rows: 5, branches: [statistics]), validation: empty, test: empty)
            ])
            try ledger.commit(
                [
                    .task(.assign(survey, stage: .survey)), counted(survey, .surveyed(found)),
                    .job(job, .branches(["x"])), .job(job, .stage(.specs, error: nil)),
                    .task(.assign(chunk, stage: .specs)),
                    counted(chunk, .counted(bytesRead: 9, seconds: 1), specs), .job(job, .bundle(digest: bundle)),
                    .job(job, .evaluation(State.report)),
                    .job(job, .stage(.done, error: nil)), .story(.worker(WorkerID(1)), "joined as w1"),
                ], at: 102)
        }

        deinit { try? FileManager.default.removeItem(at: directory) }

        /// Adds two cancelled jobs that train: one with this data plan, one without any.
        func addTrainings(plan: String) throws -> (planned: JobID, unplanned: JobID) {
            let ledger = try Ledger(path: directory.appending(path: "ledger.sqlite").path)
            let digest = try BlobStore(directory.appending(path: "blobs")).put(Array(plan.utf8))
            var job = JobDescription(
                name: "training", datasets: [.init(name: "a", label: 0, tree: "t", files: ["root://s//f.root"])])
            job.train = JobDescription.Training()
            let (planned, unplanned) = (try ledger.addJob(job, at: 103), try ledger.addJob(job, at: 103))
            try ledger.commit(
                [
                    .job(planned, .plans(data: digest, training: digest)),
                    .job(planned, .stage(.cancelled, error: nil)), .job(unplanned, .stage(.cancelled, error: nil)),
                ], at: 104)
            return (planned, unplanned)
        }

        var tokens: TokenStore { TokenStore(state: directory) }

        /// - Parameter asksForTokens: lets in only those with a token.
        func application(asksForTokens: Bool = false) throws -> some ApplicationProtocol {
            var log = Logger(label: "test")
            log.logLevel = .critical
            var settings = Coordinator.Settings(state: directory)
            settings.version = "test"
            let coordinator = try Coordinator(settings, log: log)
            let access = AccessGuard(tokens: asksForTokens ? tokens : nil)
            return Application(router: RestService(coordinator: coordinator, access: access).router(), logger: log)
        }

        /// What the coordinator lists as its routes.
        func routes() throws -> RouteList {
            var log = Logger(label: "test")
            log.logLevel = .critical
            let coordinator = try Coordinator(Coordinator.Settings(state: directory), log: log)
            return RestService(coordinator: coordinator, access: AccessGuard(tokens: nil)).routes
        }
    }

    private static let jobFile =
        "name: new\ntree: t\ndatasets: [{name: a, files: \"root://nowhere//store/*.root\"}]\n"

    private static func submission(_ text: String = jobFile) throws -> ByteBuffer {
        ByteBuffer(bytes: try RestJSON.encode(JobSubmission(description: text, baseDirectory: nil)))
    }

    private static func value<Value: Decodable>(_: Value.Type, _ response: TestResponse) throws -> Value {
        try RestJSON.decode(Value.self, from: Data(response.body.readableBytesView))
    }

    private static func error(_ response: TestResponse) throws -> String {
        try value(RestFailure.self, response).error
    }

    @Test func whatAFinishedJobLeavesCanBeRead() async throws {
        let state = try State()
        try await state.application().test(.router) { client in
            let all = try await client.execute(uri: RestPath.jobs, method: .get) {
                try Self.value([JobStatus].self, $0)
            }
            #expect(all.map(\.id) == [state.done] && all[0].name == "finished" && all[0].isFinal)
            let status = try await client.execute(uri: RestPath.job(state.done), method: .get) {
                try Self.value(JobStatus.self, $0)
            }
            // The second time it is given as it was kept.
            let again = try await client.execute(uri: RestPath.jobs, method: .get) {
                try Self.value([JobStatus].self, $0)
            }
            // A list of jobs is without their reports, which are large.
            #expect(status.evaluation == State.report && all[0].evaluation == nil)
            var listed = status
            listed.evaluation = nil
            #expect(listed == all[0], "\(status) and \(all[0])")
            #expect(again == all)
            #expect(status.files == 1 && status.entries == 5 && status.stages.map(\.seconds).allSatisfy { $0 >= 0 })

            let specs = try await client.execute(uri: RestPath.specs(job: state.done), method: .get) {
                try Self.value(SpecsDocument.self, $0)
            }
            #expect(specs.job == state.done && specs.events == 5 && specs.parts["train"] == 5)
            #expect(
                specs.branches.map(\.name) == ["x"] && specs.branches[0].kind == "flat" && specs.branches[0].max == 2)
            let other = try await client.execute(
                uri: RestPath.specs(job: state.done, format: .mlaas4hep), method: .get
            ) { try Self.value(MLaaS4HEPSpecs.self, $0) }
            #expect(other.fkeys == ["x"] && other.maxv == ["x": 2])

            try await client.execute(uri: RestPath.bundle(job: state.done), method: .get) { response in
                #expect(response.status == .ok && response.headers[.contentType] == "application/x-tar")
                #expect(String(buffer: response.body) == "a model")
            }
            let run = try await client.execute(uri: RestPath.run(job: state.done), method: .get) {
                try Self.value(RunRecord.self, $0)
            }
            #expect(run.name == "finished" && run.version == "test" && run.submitted == 100 && run.finished == 102)
            for (subject, id, text) in [
                ("job", state.done.rawValue, "stage list"), ("worker", 1, "joined as w1"),
            ] {
                let story = try await client.execute(uri: RestPath.story(subject, id), method: .get) {
                    try Self.value([StoryLine].self, $0)
                }
                #expect(story.contains { $0.text == text }, "\(story)")
            }
            for path in [RestPath.workers, RestPath.sites] {
                try await client.execute(uri: path, method: .get) { #expect(String(buffer: $0.body) == "[]") }
            }
        }
    }

    /// A data plan is given as it is stored; where there is none, the answer has the reason.
    @Test func theDataPlanCanBeRead() async throws {
        let state = try State()
        let (planned, unplanned) = try state.addTrainings(plan: "{\"format\": 2}")
        try await state.application().test(.router) { client in
            try await client.execute(uri: RestPath.plan(job: planned), method: .get) { response in
                #expect(response.status == .ok && response.headers[.contentType] == "application/json")
                #expect(String(buffer: response.body) == "{\"format\": 2}")
            }
            for (job, reason) in [(unplanned, "no data plan yet"), (state.done, "it does not train")] {
                try await client.execute(uri: RestPath.plan(job: job), method: .get) { response in
                    #expect(response.status == .conflict)
                    let error = try Self.error(response)
                    #expect(error.contains(reason), "\(error)")
                }
            }
        }
    }

    @Test func aJobGoesThroughItsCommands() async throws {
        let state = try State()
        try await state.application().test(.router) { client in
            let id = try await client.execute(uri: RestPath.jobs, method: .post, body: Self.submission()) { response in
                #expect(response.status == .created)
                return try Self.value(SubmittedJob.self, response).id
            }
            func status(_ path: String, _ method: HTTPRequest.Method) async throws -> JobStatus {
                try await client.execute(uri: path, method: method) { response in
                    #expect(response.status == .ok, "\(path): \(String(buffer: response.body))")
                    return try Self.value(JobStatus.self, response)
                }
            }
            let new = try await status(RestPath.job(id), .get)
            #expect(new.stage == .list && new.tasksAll == 1 && new.waiting == "a worker to join")
            let paused = try await status(RestPath.command(.pause, job: id), .post)
            #expect(paused.paused && paused.waiting == "being resumed")
            #expect(try await !status(RestPath.command(.resume, job: id), .post).paused)
            #expect(try await status(RestPath.command(.cancel, job: id), .post).stage == .cancelled)
            #expect(try await status(RestPath.command(.retry, job: id), .post).stage == .list)
            // The older spelling.
            #expect(try await status(RestPath.job(id), .delete).stage == .cancelled)

            for path in [
                RestPath.command(.cancel, job: id), RestPath.command(.pause, job: state.done),
                RestPath.command(.retry, job: state.done), RestPath.specs(job: id), RestPath.plan(job: id),
                RestPath.plan(job: state.done), RestPath.command(.retry, job: id, withoutUnreadable: true),
            ] {
                let reads = path.hasSuffix("specs") || path.hasSuffix("plan")
                let method: HTTPRequest.Method = reads ? .get : .post
                try await client.execute(uri: path, method: method) { response in
                    #expect(response.status == .conflict, "\(path)")
                    let error = try Self.error(response)
                    #expect(!error.isEmpty)
                }
            }
            for path in [RestPath.bundle(job: id), RestPath.run(job: id)] {
                try await client.execute(uri: path, method: .get) { #expect($0.status == .notFound) }
            }
        }
    }

    @Test func whatIsNotThereIsNotFound() async throws {
        let state = try State()
        try await state.application().test(.router) { client in
            var routes: [(String, HTTPRequest.Method)] = [
                (RestPath.job(JobID(99)), .get), (RestPath.job(JobID(99)), .delete),
                (RestPath.specs(job: JobID(99)), .get), (RestPath.plan(job: JobID(99)), .get),
                (RestPath.bundle(job: JobID(99)), .get), (RestPath.run(job: JobID(99)), .get),
                (RestPath.story("job", 99), .get),
                (RestPath.story("worker", 99), .get), (RestPath.story("planet", 1), .get),
                (RestPath.drain(worker: WorkerID(99)), .post), ("/api/v1/jobs/one", .get),
            ]
            routes += JobCommand.allCases.map { (RestPath.command($0, job: JobID(99)), .post) }
            for (path, method) in routes {
                try await client.execute(uri: path, method: method) { response in
                    #expect(response.status == .notFound, "\(method) \(path)")
                    let error = try Self.error(response)
                    #expect(!error.isEmpty)
                }
            }
            try await client.execute(uri: "/api/v1/nothing", method: .get) { #expect($0.status == .notFound) }
        }
    }

    @Test func wrongRequestsAreNamed() async throws {
        let state = try State()
        try await state.application().test(.router) { client in
            for body in ["", "{", "[]", "{\"text\": 1}", "\u{0}\u{1}"] {
                try await client.execute(uri: RestPath.jobs, method: .post, body: ByteBuffer(string: body)) {
                    response in
                    #expect(response.status == .badRequest)
                    let error = try Self.error(response)
                    #expect(error.contains("expected JSON with description"))
                }
            }
            try await client.execute(
                uri: RestPath.jobs, method: .post, body: Self.submission("name: x\ntree: t\ncolour: red")
            ) { response in
                #expect(response.status == .unprocessableContent)
                let failure = try Self.value(RestFailure.self, response)
                #expect(failure.mistakes?.contains { $0.line == 3 && $0.text.contains("colour") } == true)
            }
            // Each number is allowed, their product is not.
            for (units, batch, reason) in [
                (65_536, 100, "dense layer 2 is too large"), (8000, 10_000_000, "too much of a worker's memory"),
            ] {
                let layer = "{dense: {units: \(units)}}"
                let text = """
                    name: x
                    tree: t
                    datasets:
                      - {name: a, label: 1, files: "root://nowhere//a.root"}
                      - {name: b, label: 0, files: "root://nowhere//b.root"}
                    train:
                      batch: \(batch)
                      model: [\(layer), \(layer), {dense: {units: 1, activation: sigmoid}}]

                    """
                try await client.execute(uri: RestPath.jobs, method: .post, body: Self.submission(text)) { response in
                    #expect(response.status == .unprocessableContent)
                    let error = try Self.error(response)
                    #expect(error.contains(reason) && error.contains("; expected at most "), "\(error)")
                }
            }
            // Tokens are forwarded over TLS only, which this coordinator has not.
            try await client.execute(
                uri: RestPath.jobs, method: .post, body: Self.submission(Self.jobFile + "credentials: forward\n")
            ) { response in
                #expect(response.status == .unprocessableContent)
                let error = try Self.error(response)
                #expect(error.contains("over TLS only"))
            }
            try await client.execute(uri: RestPath.jobs, method: .post, body: ByteBuffer(repeating: 32, count: 9 << 20))
            {
                #expect($0.status == .contentTooLarge)
            }
            try await client.execute(uri: RestPath.specs(job: state.done) + "?format=csv", method: .get) { response in
                #expect(response.status == .badRequest)
                let error = try Self.error(response)
                #expect(error.contains("found csv"))
            }
        }
    }

    /// Each route that the coordinator lists is one; another method gets the list of those that it takes.
    @Test func theListOfRoutesHolds() async throws {
        let state = try State()
        let routes = try state.routes().routes
        try await state.application().test(.router) { client in
            for route in routes {
                let method = try #require(HTTPRequest.Method(route.method))
                let path = route.path.replacing(":subject", with: "planet").replacing(":id", with: "99")
                let body = try await client.execute(uri: path, method: method) { String(buffer: $0.body) }
                #expect(!body.contains("nothing is served at"), "\(route.method) \(path)")
                try await client.execute(uri: path, method: .put) { response in
                    #expect(response.status == .methodNotAllowed)
                    #expect(response.headers[.allow]?.contains(route.method) == true)
                }
            }
            try await client.execute(uri: "/api/v1/nothing", method: .get) { response in
                let error = try Self.error(response)
                #expect(response.status == .notFound && error.contains("GET / lists"))
            }
            try await client.execute(uri: "/", method: .get) { response in
                #expect(response.status == .ok && String(buffer: response.body).contains("/api/v1/jobs/:id/specs"))
            }
        }
    }

    /// A page in a browser of this machine neither submits nor cancels.
    @Test func requestsOfPagesAreTurnedAway() async throws {
        let state = try State()
        try await state.application().test(.router) { client in
            func status(
                _ path: String, _ method: HTTPRequest.Method, _ headers: HTTPFields, _ body: ByteBuffer? = nil
            ) async throws -> HTTPResponse.Status {
                try await client.execute(uri: path, method: method, headers: headers, body: body) { $0.status }
            }
            let body = try Self.submission()
            #expect(try await status(RestPath.jobs, .post, [.contentType: "text/plain"], body) == .unsupportedMediaType)
            let page: HTTPFields = [.origin: "http://evil.example", .contentType: "application/json"]
            #expect(try await status(RestPath.jobs, .post, page, body) == .forbidden)
            for path in [RestPath.command(.cancel, job: state.done), RestPath.drain(worker: WorkerID(1))] {
                #expect(try await status(path, .post, page) == .forbidden)
            }
            #expect(try await status(RestPath.jobs, .get, page) == .forbidden)
            #expect(try await status(RestPath.jobs, .post, [.contentType: "application/json"], body) == .created)
        }
    }

    @Test func eachRouteAsksForItsRole() async throws {
        let state = try State()
        var tokens: [Role: String] = [:]
        for role in Role.allCases { tokens[role] = try state.tokens.create(role, name: role.rawValue, seconds: 3600) }
        let (known, job) = (tokens, state.done)
        try await state.application(asksForTokens: true).test(.router) { client in
            func status(
                _ path: String, _ method: HTTPRequest.Method, _ token: String?
            ) async throws -> HTTPResponse.Status {
                let headers: HTTPFields = token.map { [.authorization: "Bearer " + $0] } ?? [:]
                return try await client.execute(uri: path, method: method, headers: headers) { response in
                    if response.status == .unauthorized { #expect(response.headers[.wwwAuthenticate] == "Bearer") }
                    return response.status
                }
            }
            let reading = [
                RestPath.jobs, RestPath.job(job), RestPath.specs(job: job), RestPath.bundle(job: job),
                RestPath.plan(job: job),
                RestPath.run(job: job), RestPath.story("job", job.rawValue), RestPath.workers, RestPath.sites,
            ].map { ($0, HTTPRequest.Method.get, Role.reader) }
            let steering =
                JobCommand.allCases.map {
                    (RestPath.command($0, job: JobID(99)), HTTPRequest.Method.post, Role.submitter)
                }
                + [(RestPath.job(JobID(99)), .delete, .submitter), (RestPath.jobs, .post, .submitter)]
            for (path, method, role) in reading + steering + [(RestPath.drain(worker: WorkerID(9)), .post, .admin)] {
                for wrong in [nil, "", "beamline_0123456789ab_00", "beamline_../../x_00"] {
                    #expect(try await status(path, method, wrong) == .unauthorized, "\(method) \(path)")
                }
                for holder in Role.allCases {
                    let answer = try await status(path, method, known[holder])
                    #expect((answer == .forbidden) == !holder.includes(role), "\(holder): \(method) \(path)")
                    #expect(answer != .unauthorized)
                }
            }
        }
    }
}
