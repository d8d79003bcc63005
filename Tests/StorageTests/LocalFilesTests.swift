import Bytes
import Cluster
import Foundation
import Storage
import Testing

/// Files of the reader's own machine: what is opened, what is rejected before anything of it is read, and where links
/// and `..` lead.
@Suite struct LocalFilesTests {
    /// `data/` is what may be read, `outside/` is not.
    private struct Folder {
        let url = FileManager.default.temporaryDirectory.resolvingSymlinksInPath().appending(
            path: "beamline-local-\(UUID().uuidString)")
        var data: String { path("data") }

        init() throws {
            for name in ["data/sub", "outside/deep"] {
                try FileManager.default.createDirectory(
                    at: url.appending(path: name), withIntermediateDirectories: true)
            }
            for name in ["data/a.root", "data/sub/b.root", "outside/secret.root", "outside/secret.txt"] {
                try Data(name.utf8).write(to: url.appending(path: name))
            }
        }

        func path(_ name: String) -> String { url.appending(path: name).path }

        func link(_ name: String, to target: String) throws { try #require(symlink(target, path(name)) == 0) }

        func read(_ path: String, followsLinks: Bool = false) throws -> String {
            let source = try FileSource(path: path, local: LocalFiles(below: [data], followsLinks: followsLinks))
            return String(
                decoding: try source.read([ByteRange(offset: 0, length: source.size)]).bytes(0), as: UTF8.self)
        }

        func list(_ pattern: String, followsLinks: Bool = false) throws -> Listing {
            try FileLister(local: LocalFiles(below: [data], followsLinks: followsLinks)).expand(pattern)
        }
    }

    private func withFolder(_ body: (Folder) throws -> Void) throws {
        let folder = try Folder()
        defer { try? FileManager.default.removeItem(at: folder.url) }
        try body(folder)
    }

    private func code(_ body: () throws -> Void) -> InputError.Code? {
        #expect(throws: InputError.self, performing: body)?.code
    }

    /// Without O_NONBLOCK the open of a FIFO waits for a writer for ever, so a test that fails here hangs.
    @Test(.timeLimit(.minutes(1))) func onlyRegularFilesAreOpened() throws {
        try withFolder { folder in
            let fifo = folder.path("data/fifo.root")
            try #require(mkfifo(fifo, 0o600) == 0)
            try folder.link("data/zero.root", to: "/dev/zero")
            let error = #expect(throws: InputError.self) { try folder.read(fifo) }
            #expect(error?.code == .input && error?.found == "a FIFO" && error?.file == fifo, "\(error as Any)")
            // A command of a user, who may read anything: by its own path, as a list, and for its text.
            for read in [
                { _ = try FileSource(path: fifo) }, { _ = try localText(fifo, limit: 100) },
                { _ = try openSource("file://" + fifo) },
            ] { #expect(code(read) == .input) }
            let device = #expect(throws: InputError.self) {
                try FileSource(path: folder.path("data/zero.root"), local: .all)
            }
            #expect(device?.found == "a device")
            let directory = #expect(throws: InputError.self) { try folder.read(folder.path("data/sub")) }
            #expect(directory?.found == "a directory")
            // Its pattern still names it, so that the file is the one that fails.
            #expect(try folder.list(folder.path("data/f*.root")).files.map(\.url) == [fifo])
            let list = folder.path("data/list.txt")
            try #require(mkfifo(list, 0o600) == 0)
            #expect(code { _ = try folder.list(list) } == .input)
        }
    }

    @Test func aLinkThatLeadsOutIsNotFollowed() throws {
        try withFolder { folder in
            try folder.link("data/out.root", to: "../outside/secret.root")
            try folder.link("data/out.txt", to: folder.path("outside/secret.txt"))
            try folder.link("data/outdir", to: folder.path("outside"))
            try folder.link("data/in.root", to: folder.path("data/sub/b.root"))
            for name in ["data/out.root", "data/outdir/secret.root"] {
                let error = #expect(throws: InputError.self) { try folder.read(folder.path(name)) }
                #expect(error?.code == .input && error?.hint?.contains("--follow-links") == true, "\(error as Any)")
                #expect(try folder.read(folder.path(name), followsLinks: true) == "outside/secret.root")
            }
            for pattern in ["data/outdir/*", "data/outdir", "data/out.txt"] {
                let error = #expect(throws: InputError.self) { try folder.list(folder.path(pattern)) }
                #expect("\(error as Any)".contains("outside/") == false, "\(error as Any)")
            }
            #expect(
                try folder.list(folder.path("data/outdir/*.root"), followsLinks: true).files.map(\.url)
                    == [folder.path("data/outdir/secret.root")])
            // A link may lead to what may be read, and the directory itself may be behind one.
            #expect(try folder.read(folder.path("data/in.root")) == "data/sub/b.root")
            try folder.link("alias", to: folder.data)
            let source = try FileSource(
                path: folder.path("alias/a.root"), local: LocalFiles(below: [folder.path("alias")]))
            #expect(source.size == 11)
        }
    }

    @Test func pathsAreComparedAsTheyAreOpened() throws {
        try withFolder { (folder) throws in
            for name in ["data/sub/../a.root", "data//a.root", "data/./a.root", "outside/../data/a.root"] {
                let path = folder.url.path + "/" + name
                #expect(mayRead(path, below: [folder.data]), "\(name)")
                let opened = try #require(localPath(of: path))
                #expect(try folder.read(opened) == "data/a.root", "\(name)")
                #expect(try folder.list(path).files.map(\.url) == [folder.path("data/a.root")], "\(name)")
            }
            for name in ["data/../outside/secret.root", "data/sub/../../outside/secret.root", "data/.."] {
                let path = folder.url.path + "/" + name
                #expect(!mayRead(path, below: [folder.data]))
                #expect(code { _ = try folder.list(path) } == .input, "\(name)")
            }
            #expect(try folder.list(folder.data).files.map(\.url) == [folder.path("data/a.root")])
        }
    }

    /// C ends a path at NUL: `..\0` is a name for Swift and `..` for the system.
    @Test(arguments: ["..\0/outside", "sub\0", "a\nb", "a\u{1B}[31m", "a\u{9B}31m", "\u{7F}"])
    func controlCharactersAreRejectedEverywhere(_ name: String) throws {
        try withFolder { folder in
            let path = folder.data + "/" + name
            #expect(!mayRead(path, below: ["/"]))
            for reads in [
                { _ = try FileSource(path: path) }, { _ = try folder.list(path + "/*/x") },
                { _ = try openSource(path) },
                { _ = try openSource("root://localhost:1/" + path) },
                { _ = try openSource("http://localhost:1/" + path) },
            ] {
                let error = #expect(throws: InputError.self, performing: reads)
                #expect(error?.code == .input && !hasControlCharacter(error?.description ?? "\0"), "\(error as Any)")
            }
        }
    }

    @Test func aNameWithAControlCharacterInADirectoryIsAnErrorAndNotALine() throws {
        try withFolder { folder in
            try Data().write(to: URL(filePath: folder.data + "/two\nlines.root"))
            let error = #expect(throws: InputError.self) { try folder.list(folder.data) }
            #expect(error?.found == "two\\u{a}lines.root", "\(error as Any)")
            #expect(try folder.list(folder.path("data/a*.root")).files.count == 1)
        }
    }

    /// What no later attempt can change is not tried again for a minute.
    @Test func permanentErrorsAreNotTransient() throws {
        try withFolder { folder in
            try folder.link("data/loop.root", to: "loop.root")
            let long = folder.data + "/" + String(repeating: "x", count: 300)
            for (path, expected) in [
                (long, InputError.Code.input), (folder.path("data/loop.root"), .input),
                (folder.path("data/no"), .missing),
                (folder.path("data/a.root/b"), .missing),
            ] {
                let error = #expect(throws: InputError.self) { try folder.read(path) }
                #expect(error?.code == expected && error?.code.isTransient == false, "\(error as Any)")
            }
        }
    }

    @Test func rangesOfAllSizesAreTheFilesBytes() throws {
        try withFolder { folder in
            let content = (0..<3_000_000).flatMap { number in withUnsafeBytes(of: UInt64(number)) { Array($0) } }
            let path = folder.path("data/large.root")
            try Data(content).write(to: URL(filePath: path))
            var ranges = (0..<2000).map { ByteRange(offset: ($0 * 7919) % 23_000_000, length: 1 + $0 % 300) }
            // Longer than one call reads, overlapping, empty, and the last byte.
            ranges += [(0, 20_000_000), (1_000_000, 9_000_000), (500, 0), (23_999_999, 1)].map {
                ByteRange(offset: $0.0, length: $0.1)
            }
            let fetched = try FileSource(path: path).read(ranges)
            for (index, range) in ranges.enumerated() {
                #expect(fetched.bytes(index) == Array(content[range.offset..<range.end]))
            }
        }
    }

    @Test func aFileThatChangesWhileItIsOpenIsNoticed() throws {
        try withFolder { folder in
            let path = folder.path("data/a.root")
            let source = try FileSource(path: path)
            let whole = [ByteRange(offset: 0, length: source.size)]
            _ = try source.read(whole)
            let handle = try FileHandle(forWritingTo: URL(filePath: path))
            try handle.write(contentsOf: Data("DATA".utf8))
            try handle.close()
            let error = #expect(throws: InputError.self) { try source.read(whole) }
            #expect(error?.code == .changed, "\(error as Any)")
            let again = try FileSource(path: path)
            #expect(try #require(source.version).contradicts(#require(again.version)))
            // On another machine, times mean nothing.
            var copy = try #require(again.version)
            (copy.machine, copy.modified) = ("elsewhere", 1)
            #expect(try !#require(source.version).contradicts(copy))
        }
    }
}
