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
            #expect(answers.allSatisfy { $0.state == .available ? $0.serving == $0.version : $0.serving > $0.version })
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

    /// The models of a directory as an earlier life left it, after something happened to the only bundle's file.
    private func reopened(
        _ directory: TemporaryDirectory, _ bundle: [UInt8], after change: (URL) throws -> Void
    ) throws -> (store: ModelStore, restored: ModelStore.Restored) {
        _ = try ModelStore(directory: directory.url).push("m", bundle)
        try change(directory.url.appending(path: Digest.sha256(bundle) + ".bundle"))
        let store = try ModelStore(directory: directory.url)
        return (store, store.restore())
    }

    @Test func aDamagedFileIsQuarantinedAndReported() throws {
        let directory = TemporaryDirectory()
        let bundle = try sampleBundle(bias: 1)
        var damaged = bundle
        damaged[600] ^= 1
        let name = Digest.sha256(bundle) + ".bundle"
        let (store, restored) = try reopened(directory, bundle) { try Data(damaged).write(to: $0) }
        #expect(restored.names.isEmpty && restored.failures.map(\.name) == ["m"])
        #expect(restored.failures[0].reason.contains("damaged") && restored.notes.contains { $0.contains(name) })
        #expect(store.failures == restored.failures)
        #expect(try store.model("m", fails: .faulty).contains("damaged"))
        #expect(directory.files == ["index.json", "quarantine"])
        #expect(try Data(contentsOf: directory.url.appending(path: "quarantine/\(name)")) == Data(damaged))
        // It is not forgotten.
        #expect(try ModelStore(directory: directory.url).restore().failures.map(\.name) == ["m"])
        // Its numbers go on, and a push ends it.
        #expect(try store.push("m", bundle).version == 2)
        #expect(store.failures.isEmpty && directory.files == [name, "quarantine", "index.json"].sorted())
        #expect(try ModelStore(directory: directory.url).restore().names == ["m"])
    }

    @Test func whatIsNoFileIsQuarantined() throws {
        let bundle = try sampleBundle(bias: 1)
        for change: (URL) throws -> Void in [
            { try FileManager.default.createDirectory(at: $0, withIntermediateDirectories: false) },
            { try FileManager.default.createSymbolicLink(atPath: $0.path, withDestinationPath: "/dev/zero") },
            { #expect(mkfifo($0.path, 0o600) == 0) },
        ] {
            let directory = TemporaryDirectory()
            let (_, restored) = try reopened(directory, bundle) { url in
                try FileManager.default.removeItem(at: url)
                try change(url)
            }
            #expect(restored.failures.map(\.name) == ["m"] && directory.files == ["index.json", "quarantine"])
        }
        let directory = TemporaryDirectory()
        let (_, missing) = try reopened(directory, bundle) { try FileManager.default.removeItem(at: $0) }
        #expect(missing.failures[0].reason.contains("not there") && directory.files == ["index.json"])
    }

    /// Whole files that cannot be loaded, which a program of another version may have stored.
    @Test func aBundleThatCannotBeLoadedIsQuarantined() throws {
        let directory = TemporaryDirectory()
        let garbage: [UInt8] = .init(repeating: 7, count: 2000)
        let (digest, bundle) = (Digest.sha256(garbage), try sampleBundle(bias: 1))
        _ = try ModelStore(directory: directory.url).push("good", bundle)
        let index = """
            {"models": [{"name": "bad", "version": 3, "lastNumber": 9, "digest": "\(digest)"}, \
            {"name": "good", "version": 1, "lastNumber": 1, "digest": "\(Digest.sha256(bundle))"}]}
            """
        try Data(index.utf8).write(to: directory.url.appending(path: "index.json"))
        try Data(garbage).write(to: directory.url.appending(path: digest + ".bundle"))
        let store = try ModelStore(directory: directory.url)
        let restored = store.restore()
        #expect(restored.names == ["good"] && restored.failures.map(\.name) == ["bad"])
        #expect(directory.files.contains("quarantine") && !directory.files.contains(digest + ".bundle"))
        #expect(try store.push("bad", bundle).version == 10)
    }

    @Test func filesThatNothingNamesAreSortedOut() throws {
        let directory = TemporaryDirectory()
        let (served, replaced) = (try sampleBundle(bias: 1), try sampleBundle(bias: 2))
        _ = try ModelStore(directory: directory.url).push("m", served)
        for (name, bytes) in [
            (Digest.sha256(replaced) + ".bundle", replaced), ("foreign.bundle", [1, 2, 3]),
            (String(repeating: "0", count: 64) + ".bundle", [4]), ("half.part", [5]), ("notes.txt", [6]),
        ] as [(String, [UInt8])] { try Data(bytes).write(to: directory.url.appending(path: name)) }
        let store = try ModelStore(directory: directory.url)
        let restored = store.restore()
        #expect(restored.names == ["m"] && restored.failures.isEmpty && restored.notes.count == 2)
        let name = Digest.sha256(served) + ".bundle"
        #expect(directory.files == [name, "quarantine", "index.json", "notes.txt"].sorted())
        let quarantine = directory.url.appending(path: "quarantine")
        let quarantined = try FileManager.default.contentsOfDirectory(atPath: quarantine.path)
        #expect(quarantined.sorted() == [String(repeating: "0", count: 64) + ".bundle", "foreign.bundle"])
    }

    @Test func anIndexThatCannotBeReadStopsTheNode() throws {
        let directory = TemporaryDirectory()
        let bundle = try sampleBundle(bias: 1)
        _ = try ModelStore(directory: directory.url).push("m", bundle)
        let index = directory.url.appending(path: "index.json")
        for (text, found) in [("{\"format\": 99}", "newer version"), ("{", "cannot be read")] {
            try Data(text.utf8).write(to: index)
            let error = #expect(throws: InputError.self) { try ModelStore(directory: directory.url) }
            #expect(error?.description.contains(found) == true)
        }
        // Without it nothing is served, and nothing is lost.
        try FileManager.default.removeItem(at: index)
        #expect(try ModelStore(directory: directory.url).restore().names.isEmpty)
        #expect(directory.files == ["index.json", "quarantine"])
    }

    @Test func aDiskThatCannotBeWrittenLeavesWhatServes() throws {
        let directory = TemporaryDirectory()
        let store = try ModelStore(directory: directory.url)
        _ = try store.push("m", sampleBundle(bias: 1))
        let away = directory.url.appendingPathExtension("away")
        try FileManager.default.moveItem(at: directory.url, to: away)
        let error = #expect(throws: InputError.self) { try store.push("m", sampleBundle(bias: 2)) }
        #expect(error?.code == .unreachable)
        #expect(try store.model("m").version == 1 && store.failures.isEmpty)
        try FileManager.default.moveItem(at: away, to: directory.url)
        #expect(try store.push("m", sampleBundle(bias: 2)).version == 3)
        #expect(directory.files.count == 2)
    }

    // MARK: Memory

    @Test func aModelThatDoesNotFitIsRejectedUntilThereIsRoom() throws {
        let directory = TemporaryDirectory()
        let bundle = try sampleBundle(bias: 1)
        let small = try ModelStore(directory: directory.url, memory: ModelMemory(bytes: bundle.count))
        let error = #expect(throws: InputError.self) { try small.push("m", bundle) }
        #expect(error?.code == .full && error?.description.contains("--memory-mib") == true)
        #expect(directory.files == ["index.json"])
        // Room for loading one, and for a few that are loaded.
        let budget = 6 * bundle.count + 400_000
        let store = try ModelStore(directory: directory.url, threads: 1, memory: ModelMemory(bytes: budget))
        var names: [String] = []
        while names.count < 1000, (try? store.push("m\(names.count)", bundle)) != nil {
            names.append("m\(names.count)")
        }
        #expect(names.count > 2 && names.count < 1000)
        // What is replaced gives its memory back, and so does what failed: otherwise these would not fit.
        let other = TemporaryDirectory()
        let again = try ModelStore(directory: other.url, threads: 1, memory: ModelMemory(bytes: budget))
        for round in 0..<50 {
            #expect(try again.push("m", sampleBundle(bias: Float(round))).version == 2 * Int64(round) + 1)
            #expect(throws: InputError.self) { try again.push("m", [UInt8](bundle.dropLast())) }
        }
        // The node starts again with less: what does not fit stays where it is.
        let less = try ModelStore(directory: directory.url, threads: 1, memory: ModelMemory(bytes: bundle.count))
        #expect(less.restore().failures.count == names.count && !directory.files.contains("quarantine"))
        let more = try ModelStore(directory: directory.url, threads: 1, memory: ModelMemory(bytes: budget))
        #expect(more.restore().names.count == names.count)
    }
}

extension ModelStore {
    /// The text of the error that asking for a model gives, which must be of this kind.
    fileprivate func model(_ name: String, fails code: InputError.Code) throws -> String {
        let error = #expect(throws: InputError.self) { try model(name) }
        #expect(error?.code == code)
        return error?.description ?? ""
    }
}
