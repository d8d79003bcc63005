import Bytes
import Dispatch
import Foundation
import InferenceService
import Models
import Synchronization
import Testing

@Suite struct ModelStoreTests {
    private func score(_ store: ModelStore, _ name: String) throws -> Float {
        let tensor = NamedTensor(name: "features", shape: [1, 2], values: [0, 0])
        return try store.model(name).predict([tensor])[0].values[0]
    }

    @Test func theHighestOfManyPushesServesInMemoryAndOnDisk() throws {
        for _ in 0..<5 {
            let directory = TemporaryDirectory()
            let store = try ModelStore(directory: directory.url)
            let bundles = try (0..<8).map { try sampleBundle(bias: Float($0)) }
            let pushed = Mutex<[ModelStore.Pushed]>([])
            DispatchQueue.concurrentPerform(iterations: bundles.count) { index in
                if let answer = try? store.push("m", bundles[index]) { pushed.withLock { $0.append(answer) } }
            }
            let answers = pushed.withLock { $0 }
            #expect(answers.count == 8 && Set(answers.map(\.version)).count == 8)
            let highest = try #require(answers.max { $0.version < $1.version })
            #expect(highest.version == 8 && highest.state == .available)
            #expect(try store.model("m").version == 8)
            // The files are those of the version that serves, and a restart serves the same.
            #expect(directory.files == [highest.digest + ".bundle", "index.json"])
            let bias = try #require(bundles.firstIndex { Digest.sha256($0) == highest.digest })
            let again = try ModelStore(directory: directory.url)
            #expect(again.restore().names == ["m"])
            #expect(try score(again, "m") == score(store, "m"))
            #expect(abs(Double(try score(again, "m")) - sampleScore(bias: Double(bias), a: 0)) < 1e-6)
            #expect(try again.model("m").version == 8)
        }
    }

    @Test func versionsGoOnAfterARestart() throws {
        let directory = TemporaryDirectory()
        let store = try ModelStore(directory: directory.url)
        #expect(try store.push("m", sampleBundle(bias: 1)).version == 1)
        #expect(try store.push("m", sampleBundle(bias: 1)).version == 1)
        #expect(try store.push("m", sampleBundle(bias: 2)).version == 2)
        #expect(try store.push("other", sampleBundle(bias: 2)).version == 1)
        let again = try ModelStore(directory: directory.url)
        #expect(again.restore().names == ["m", "other"])
        #expect(try again.push("m", sampleBundle(bias: 3)).version == 3)
        #expect(again.names == ["m", "other"])
    }

    @Test func aBrokenBundleLeavesWhatServes() throws {
        let directory = TemporaryDirectory()
        let store = try ModelStore(directory: directory.url)
        _ = try store.push("m", sampleBundle(bias: 1))
        let files = directory.files
        #expect(throws: InputError.self) { try store.push("m", [1, 2, 3]) }
        // A model whose score is not a number.
        #expect(throws: InputError.self) { try store.push("m", sampleBundle(bias: .nan)) }
        #expect(directory.files == files)
        #expect(try store.model("m").version == 1)
        #expect(throws: InputError.self) { try store.model("other") }
        #expect(try store.push("m", sampleBundle(bias: 2)).version == 4)
    }

    @Test func filesFromBeforeTheIndexAreAdopted() throws {
        let directory = TemporaryDirectory()
        try FileManager.default.createDirectory(at: directory.url, withIntermediateDirectories: true)
        let bundle = try sampleBundle(bias: 1)
        try Data(bundle).write(to: directory.url.appending(path: "tth.bundle"))
        let store = try ModelStore(directory: directory.url)
        #expect(store.restore().names == ["tth"])
        #expect(try store.model("tth").version == 1)
        #expect(directory.files == [Digest.sha256(bundle) + ".bundle", "index.json"])
        #expect(try store.push("tth", sampleBundle(bias: 2)).version == 2)
    }

    @Test func aDamagedFileIsReportedAndStays() throws {
        let directory = TemporaryDirectory()
        let bundle = try sampleBundle(bias: 1)
        _ = try ModelStore(directory: directory.url).push("m", bundle)
        let file = directory.url.appending(path: Digest.sha256(bundle) + ".bundle")
        var damaged = bundle
        damaged[600] ^= 1
        try Data(damaged).write(to: file)
        let store = try ModelStore(directory: directory.url)
        let restored = store.restore()
        #expect(restored.names.isEmpty && restored.failures.count == 1 && restored.failures[0].contains("damaged"))
        #expect(FileManager.default.fileExists(atPath: file.path))
        #expect(try store.push("m", bundle).version == 2)
        try Data("{\"format\": 99}".utf8).write(to: directory.url.appending(path: "index.json"))
        let error = #expect(throws: InputError.self) { try ModelStore(directory: directory.url) }
        #expect(error?.description.contains("newer version") == true)
    }
}
