import Bytes
import Cluster
import Foundation
import Storage
import Synchronization
import Testing

/// Lists: their lines, their bounds, and that they can be stopped.
@Suite struct FileListerTests {
    private func withFolder(_ body: (URL) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "beamline-list-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder)
    }

    private func write(_ text: String, to name: String, in folder: URL) throws -> String {
        let path = folder.appending(path: name).path
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    private func names(_ text: String) throws -> [String] {
        var names: [String] = []
        try ListFile.forEachName(Array(text.utf8), url: "l") { (name, _) throws(InputError) in names.append(name) }
        return names
    }

    @Test func theFirstWordOfEachLineIsAName() throws {
        #expect(try names("") == [] && names("\n\r\n \t\n# no\n") == [])
        #expect(try names("a\nb\r\nc\rd 5 more\n\t e\n#f\n  g") == ["a", "b", "c", "d", "e", "g"])
        #expect(try names("\u{FEFF}/data/a.root\n/data/b.root") == ["/data/a.root", "/data/b.root"])
        var numbers: [Int] = []
        try ListFile.forEachName(Array("a\r\n\r\n#\nb".utf8), url: "l") { (_, number) throws(InputError) in
            numbers.append(number)
        }
        #expect(numbers == [1, 4])
    }

    @Test func aLineThatIsNoNameIsNamedByItsNumber() {
        for (text, code) in [
            ("a\n\0\n", InputError.Code.input), ("a\n" + String(repeating: "x", count: 5000), .limit),
            ("a\nb\u{1B}c", .input),
        ] {
            let error = #expect(throws: InputError.self) { try names(text) }
            #expect(error?.code == code && error?.object == "line 2", "\(error as Any)")
            #expect(!hasControlCharacter(error?.description ?? "\0") && (error?.description.utf8.count ?? .max) < 1000)
        }
    }

    /// A file of zeros is one line: its error does not hold it.
    @Test func aListThatIsNoTextIsAShortError() throws {
        try withFolder { folder in
            let path = folder.appending(path: "zeros.txt").path
            #expect(FileManager.default.createFile(atPath: path, contents: Data(count: 5 << 20)))
            let error = #expect(throws: InputError.self) { try FileLister().expand(path) }
            #expect((error?.description.utf8.count ?? .max) < 1000 && error?.code.isTransient == false)
        }
    }

    @Test(.timeLimit(.minutes(1))) func aFileThatIsNamedAgainIsTakenOnceAndCounted() throws {
        try withFolder { folder in
            let file = try write("x", to: "a.root", in: folder)
            let list = try write(
                String(repeating: file + "\n", count: 200_000) + folder.path + "/*.root\n", to: "l.txt", in: folder)
            let listing = try FileLister().expand(list)
            #expect(listing.files.map(\.url) == [file] && listing.repeated == 200_000)
            #expect(try FileLister().expand(file).repeated == 0)
        }
    }

    @Test(.timeLimit(.minutes(1))) func aListWithTooLongNamesNamesTheBound() throws {
        try withFolder { folder in
            // At a web site nothing is looked at. URLs and logical names count.
            let long = String(repeating: "n", count: 3000)
            let many = (0..<ListingLimits.totalBytes / 6000 + 1).map { "http://s/\(long)\($0)" }
            let list = try write(many.joined(separator: "\n"), to: "l.txt", in: folder)
            let error = #expect(throws: InputError.self) { try FileLister().expand(list) }
            #expect(error?.code == .limit && error?.file == list, "\(error as Any)")
            #expect(error?.expected?.contains("\(ListingLimits.totalBytes) bytes") == true)
        }
    }

    @Test(.timeLimit(.minutes(1))) func aReplicaListWithTooManyFilesNamesTheBound() throws {
        let file = "<file name=\"a\"><url>root://s//a</url></file>"
        let text = "<metalink>" + String(repeating: file, count: ListingLimits.files + 1) + "</metalink>"
        let error = #expect(throws: InputError.self) { try Metalink.parse(text, url: "m") }
        #expect(error?.code == .limit && error?.expected == "at most 250000", "\(error as Any)")
        let stopped = #expect(throws: InputError.self) { try Metalink.parse(text, url: "m", isStopped: { true }) }
        #expect("\(stopped as Any)".contains("stopped"))
    }

    /// Each step asks whether anybody waits.
    @Test func aListingStopsAtItsNextStep() throws {
        try withFolder { folder in
            let steps = 20
            for index in 0..<steps {
                let directory = folder.appending(path: "d\(index)")
                try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
                try Data().write(to: directory.appending(path: "a.root"))
            }
            let asked = Mutex(0)
            let lister = FileLister(isStopped: {
                asked.withLock { count in
                    count += 1
                    return count > 5
                }
            })
            let error = #expect(throws: InputError.self) { try lister.expand(folder.path + "/*/*.root") }
            #expect("\(error as Any)".contains("stopped") && asked.withLock { $0 } < steps)
            #expect(try FileLister().expand(folder.path + "/*/*.root").files.count == steps)
        }
    }
}
