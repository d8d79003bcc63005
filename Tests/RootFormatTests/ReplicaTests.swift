import Bytes
import Cluster
import Foundation
import Pipeline
import Storage
import Testing

/// What a worker makes of files of which one replica is bad, while the site itself sees nothing wrong.
@Suite(.enabled(if: !CorpusTests.files.isEmpty)) struct ReplicaTests {
    private struct Replicas {
        let folder = FileManager.default.temporaryDirectory.appending(path: "beamline-replicas-\(UUID().uuidString)")
        let good: String
        /// Some bytes in the middle are others.
        let damaged: String
        /// Cut short.
        let cut: String

        init() throws {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            let bytes = try Data(contentsOf: CorpusTests.corpus.appending(path: "files/skhep__uproot-Zmumu-lz4.root"))
            (good, damaged, cut) = (
                folder.appending(path: "good").path, folder.appending(path: "damaged").path,
                folder.appending(path: "cut").path
            )
            try bytes.write(to: URL(filePath: good))
            var other = bytes
            for index in stride(from: 20_000, to: 150_000, by: 5000) { other[index] ^= 0x55 }
            try other.write(to: URL(filePath: damaged))
            try bytes.prefix(100_000).write(to: URL(filePath: cut))
        }

        func reader(cached: Bool = false) -> BlockReader {
            var catalog = SiteCatalog()
            if cached { catalog.cache = .init(directory: folder.appending(path: "cache").path, bytes: 1 << 30) }
            return BlockReader(ReadResources(SiteBoard(catalog), threads: 1), localRoots: [folder.path])
        }

        func task(_ survey: Survey, _ urls: [String]) -> ChunkTask {
            ChunkTask(
                InputTree(FileReplicas(urls, size: survey.bytes), tree: "events", identity: survey.identity),
                boundaries: survey.boundaries)
        }

        func plan(_ survey: Survey) -> ChunkPlan {
            ChunkPlan(branches: survey.branches.filter { $0.unsupported == nil }.map(\.name), split: .init())
        }

        func remove() { try? FileManager.default.removeItem(at: folder) }
    }

    @Test func damagedBytesAreTakenFromAnotherReplicaAndNotKept() throws {
        let replicas = try Replicas()
        defer { replicas.remove() }
        let survey = try replicas.reader().survey(FileReplicas(replicas.good), tree: "events", verify: false)
        let expected = try replicas.reader().specs(replicas.task(survey, [replicas.good]), replicas.plan(survey)).specs
        // Alone it is an error, that names the file; and its bytes are not in the cache afterwards.
        let error = #expect(throws: InputError.self) {
            try replicas.reader(cached: true).specs(replicas.task(survey, [replicas.damaged]), replicas.plan(survey))
        }
        #expect(error?.file == replicas.damaged, "\(String(describing: error))")
        // Whichever replica comes first.
        for _ in 0..<10 {
            #expect(
                try replicas.reader(cached: true).specs(
                    replicas.task(survey, [replicas.damaged, replicas.good]), replicas.plan(survey)
                ).specs == expected)
        }
    }

    @Test func aFileThatOpensAndCannotBeReadIsGivenUp() throws {
        let replicas = try Replicas()
        defer { replicas.remove() }
        let error = #expect(throws: InputError.self) {
            try replicas.reader().survey(FileReplicas(replicas.cut), tree: "events", verify: false)
        }
        #expect(error?.description.contains("cut") == true)
        let whole = try replicas.reader().survey(FileReplicas(replicas.good), tree: "events", verify: false)
        for _ in 0..<10 {
            let survey = try replicas.reader().survey(
                FileReplicas([replicas.cut, replicas.good]), tree: "events", verify: false)
            #expect(survey == whole)
        }
    }
}
