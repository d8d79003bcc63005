import Cluster
import CoordinatorService
import Foundation
import GRDB
import Hummingbird
import HummingbirdTesting
import Ledger
import Logging
import RestInterface
import Scheduling
import Testing

/// A coordinator whose ledger has damaged jobs starts, and shows them as failed.
@Suite struct DamagedStateTests {
    @Test func damagedJobsAreShownAndTheOthersGoOn() async throws {
        let directory = FileManager.default.temporaryDirectory.appending(
            path: "beamline-damaged-\(UUID().uuidString.prefix(8))")
        defer { try? FileManager.default.removeItem(at: directory) }
        try StateDirectory(directory).prepare()
        let path = StateDirectory(directory).ledger
        let ledger = try Ledger(path: path)
        var jobs: [JobID] = []
        for number in 1...3 {
            let name = "root://s//\(number).root"
            let job = try ledger.addJob(
                JobDescription(name: "j\(number)", datasets: [.init(name: "a", label: 0, tree: "t", files: [name])]),
                at: 0)
            let assignment = Assignment(
                lease: LeaseName(task: TaskID(number), token: Token(number)),
                extent: TaskExtent(job: job, unit: .pattern(0), first: 0, end: 1), worker: WorkerID(1))
            let receipt = CountedReceipt(
                assignment: assignment, digest: "d", result: .listed([FileReplicas(name)]), specs: [], completes: true)
            try ledger.commit(
                [
                    .job(job, .stage(.list, error: nil)), .task(.assign(assignment, stage: .list)),
                    .task(.count(receipt)), .job(job, .stage(.survey, error: nil)),
                ], at: 1)
            jobs.append(job)
        }
        try await DatabaseQueue(path: path).write { [jobs] db in
            try db.execute(sql: "UPDATE job SET description = '{' WHERE id = ?", arguments: [jobs[0].rawValue])
            try db.execute(sql: "UPDATE file SET replicas = '[' WHERE job = ?", arguments: [jobs[1].rawValue])
        }
        var log = Logger(label: "test")
        log.logLevel = .critical
        let coordinator = try Coordinator(Coordinator.Settings(state: directory), log: log)
        let router = RestService(coordinator: coordinator, access: AccessGuard(tokens: nil)).router()
        try await Application(router: router, logger: log).test(.router) { [jobs] client in
            let all = try await client.execute(uri: RestPath.jobs, method: .get) {
                try RestJSON.decode([JobStatus].self, from: Data($0.body.readableBytesView))
            }
            #expect(all.map(\.id) == jobs && all.map(\.name) == ["j1", "j2", "j3"])
            #expect(all.map(\.stage) == [.failed, .failed, .survey])
            #expect(all[0].error?.contains("its record is damaged") == true, "\(all[0])")
            #expect(all[1].error?.contains("the ledger's record of it is damaged") == true, "\(all[1])")
            for id in jobs.prefix(1) {
                try await client.execute(uri: RestPath.command(.cancel, job: id), method: .post) { response in
                    #expect(response.status == .conflict)
                }
            }
        }
        // Nothing of them is gone.
        let counts = try await DatabaseQueue(path: path).read { db in
            try ["job", "file"].map { try Int.fetchOne(db, sql: "SELECT COUNT(*) FROM \($0)") }
        }
        #expect(counts == [3, 3])
    }
}
