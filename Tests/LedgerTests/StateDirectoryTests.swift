import Bytes
import Cluster
import Foundation
import Ledger
import Testing

/// Who owns a state directory, and whether the ledger in it is the one that belongs there.
@Suite struct StateDirectoryTests {
    private let directory = FileManager.default.temporaryDirectory.appending(
        path: "beamline-state-\(UUID().uuidString.prefix(8))")

    private func remove() { try? FileManager.default.removeItem(at: directory) }

    private func permissions(_ path: String) throws -> Int {
        try #require(FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
    }

    @Test func oneOwnerAtATime() throws {
        defer { remove() }
        try StateDirectory(directory).prepare()
        #expect(StateLock.owner(of: directory) == nil)
        do {
            let lock = try StateLock.take(directory)
            #expect(lock.previous == nil)
            #expect(StateLock.owner(of: directory)?.hasPrefix("process \(getpid()) on ") == true)
            lock.record(life: 7)
            let error = #expect(throws: InputError.self) { try StateLock.take(directory) }
            #expect(error?.code == .denied && error?.found?.hasPrefix("process \(getpid()) on ") == true)
            #expect(error?.hint?.contains("--takeover") == true)
            withExtendedLifetime(lock) {}
        }
        // Its owner is gone: what it noted stays.
        #expect(StateLock.owner(of: directory) == nil)
        let next = try StateLock.take(directory)
        #expect(next.previous?.life == 7 && next.previous?.process == getpid())
        withExtendedLifetime(next) {}
    }

    @Test func aFrozenOwnersLockIsPutAside() throws {
        defer { remove() }
        try StateDirectory(directory).prepare()
        let frozen = try StateLock.take(directory)
        frozen.record(life: 3)
        StateLock.discard(directory)
        // The next owner does not wait for it, and nothing that the old one still writes reaches the new file.
        let next = try StateLock.take(directory)
        frozen.record(life: 99)
        #expect(next.previous == nil && StateLock.owner(of: directory) != nil)
        next.record(life: 4)
        withExtendedLifetime((frozen, next)) {}
        let error = #expect(throws: InputError.self) { try StateLock.take(directory) }
        #expect(error?.code == .denied)
    }

    @Test func aLogBesideAnEmptyLedgerIsKept() throws {
        defer { remove() }
        try StateDirectory(directory).prepare()
        let path = directory.appending(path: "ledger.sqlite").path
        let log = Data(repeating: 7, count: 4096)
        try log.write(to: URL(filePath: path + "-wal"))
        for ledger in ["empty", "missing"] {
            if ledger == "missing" { try FileManager.default.removeItem(atPath: path) }
            let error = #expect(throws: InputError.self) { try StateDirectory(directory).prepare() }
            #expect(error?.code == .denied && error?.description.contains("write-ahead log") == true)
            #expect(try Data(contentsOf: URL(filePath: path + "-wal")) == log)
        }
    }

    @Test func othersMayNotReadIt() throws {
        defer { remove() }
        // As an earlier version left it.
        try FileManager.default.createDirectory(
            at: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        let path = directory.appending(path: "ledger.sqlite").path
        #expect(FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o644]))
        try StateDirectory(directory).prepare()
        let ledger = try Ledger(path: path)
        try ledger.commit([.story(.ledger, "written")], at: 0)
        #expect(try permissions(directory.path) == 0o700)
        for suffix in ["", "-wal", "-shm"] { #expect(try permissions(path + suffix) == 0o600, "\(suffix)") }
        // A directory that is somebody else's keeps its permissions.
        let shared = directory.appending(path: "shared")
        try FileManager.default.createDirectory(
            at: shared, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        #expect(FileManager.default.createFile(atPath: shared.appending(path: "other").path, contents: nil))
        try StateDirectory(shared).prepare()
        #expect(try permissions(shared.path) == 0o755)
        #expect(try permissions(shared.appending(path: "ledger.sqlite").path) == 0o600)
    }

    @Test(
        arguments: [
            // A first start, a start after it, a state of an earlier version, one that nobody trained on.
            (LedgerEvidence(life: 0, jobs: 0, lastLife: nil, blobs: 0), nil),
            (LedgerEvidence(life: 2, jobs: 0, lastLife: 2, blobs: 3), nil),
            (LedgerEvidence(life: 9, jobs: 4, lastLife: nil, blobs: 3), nil),
            (LedgerEvidence(life: 9, jobs: 4, lastLife: 7, blobs: 3), nil),
            // An empty file instead of it, a lost log, a lost log of an earlier version.
            (LedgerEvidence(life: 0, jobs: 0, lastLife: nil, blobs: 3), "is new"),
            (LedgerEvidence(life: 4, jobs: 2, lastLife: 6, blobs: 0), "a part of it is lost"),
            (LedgerEvidence(life: 0, jobs: 0, lastLife: 2, blobs: 0), "a part of it is lost"),
            (LedgerEvidence(life: 2, jobs: 0, lastLife: nil, blobs: 1), "has no job"),
        ] as [(LedgerEvidence, String?)])
    func aLedgerThatIsNotTheRightOneIsObjectedTo(_ evidence: LedgerEvidence, _ reason: String?) {
        if let reason {
            #expect(evidence.objection?.contains(reason) == true, "\(evidence)")
        } else {
            #expect(evidence.objection == nil)
        }
    }

    /// The check comes before the life, so that whoever has the ledger keeps it.
    @Test func aRejectedOpeningTakesNoLife() throws {
        defer { remove() }
        try StateDirectory(directory).prepare()
        let path = directory.appending(path: "ledger.sqlite").path
        let owner = try Ledger(path: path)
        struct Rejected: Error {}
        #expect(throws: Rejected.self) {
            _ = try Ledger(path: path) { life, jobs in
                #expect(life == owner.currentLife && jobs == 0)
                throw Rejected()
            }
        }
        try owner.commit([.story(.ledger, "still mine")], at: 0)
        #expect(!owner.isFenced)
        let next = try Ledger(path: path)
        #expect(throws: LedgerFailure.takenOver) { try owner.verifyLife() }
        #expect(owner.isFenced && !next.isFenced)
        try next.verifyLife()
    }

    /// After the checkpoint the file alone is the ledger.
    @Test func aCheckpointLeavesOneFile() throws {
        defer { remove() }
        try StateDirectory(directory).prepare()
        let path = directory.appending(path: "ledger.sqlite").path
        let ledger = try Ledger(path: path)
        let job = JobDescription(
            name: "kept", datasets: [.init(name: "a", label: 0, tree: "t", files: ["root://x//y"])])
        _ = try ledger.addJob(job, at: 0)
        #expect(try FileManager.default.attributesOfItem(atPath: path + "-wal")[.size] as? Int ?? 0 > 0)
        try ledger.checkpoint()
        #expect(try FileManager.default.attributesOfItem(atPath: path + "-wal")[.size] as? Int == 0)
        let copy = directory.appending(path: "copy.sqlite").path
        try FileManager.default.copyItem(atPath: path, toPath: copy)
        #expect(try Ledger(path: copy).jobs().map(\.description.name) == ["kept"])
    }
}
