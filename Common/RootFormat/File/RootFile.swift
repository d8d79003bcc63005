package import Bytes
package import Storage
import Synchronization

/// An open ROOT file: its header, its directories' keys, and its streamer descriptions.
package final class RootFile: Sendable {
    package let source: any RangeSource
    package let header: FileHeader
    /// Every key of every directory, highest cycle first among equals.
    package let keys: [DirectoryKey]
    let streamers: StreamerCatalog
    /// The classes among the keys' that are derived from TTree, as the file describes them.
    private let treeClasses: Set<String>
    private let window: Mutex<FileWindow>

    package var url: String { source.url }

    /// - Throws: `InputError` where the file is not ROOT, is cut short, or was never closed.
    package init(_ source: any RangeSource) throws(InputError) {
        self.source = source
        do {
            var window = try FileWindow(source)
            header = try FileHeader(&window)
            keys = try Self.readDirectories(&window, header)
            let streamers = try Self.readStreamers(&window, header)
            self.streamers = streamers
            treeClasses = Set(keys.map(\.key.className)).filter { streamers.isDerived($0, from: "TTree") }
            self.window = Mutex(window)
        } catch { throw error.located(file: source.url) }
    }

    /// - Parameter site: the limits and credentials of the site that the URL names.
    package convenience init(url: String, at site: SiteAccess? = nil) throws(InputError) {
        try self.init(openSource(url, at: site))
    }

    /// The UUID in the header of a file that may be another by now, 16 bytes; all zero where the writer gave
    /// none.
    package static func uuid(_ source: any RangeSource) throws(InputError) -> [UInt8] {
        do {
            var window = FileWindow(unread: source)
            return try FileHeader(&window).uuid
        } catch { throw error.located(file: source.url) }
    }

    /// Forgets the metadata's bytes: the trees that are wanted are open.
    package func closeWindow() { window.withLock { $0.close() } }

    /// Reads through the metadata that were read already. No lock is held meanwhile: two threads that want bytes which
    /// are not among them may both read these.
    private func withWindow<T>(_ body: (inout FileWindow) throws(InputError) -> T) throws(InputError) -> T {
        var own = window.withLock { $0 }
        let value = try body(&own)
        window.withLock { [own] in $0.adopt(own) }
        return value
    }

    /// Bytes of a record, from the metadata that were read already where they are among them.
    func bytes(_ range: ByteRange) throws(InputError) -> [UInt8] {
        try withWindow { (window) throws(InputError) in try window.bytes(range) }
    }

    /// The trees and RNTuples of all directories, the highest cycle of each path.
    package var treeKeys: [DirectoryKey] {
        var seen: Set<String> = []
        return allTreeKeys.filter { seen.insert($0.path).inserted }
    }

    /// The same with the older cycles.
    package var allTreeKeys: [DirectoryKey] {
        keys.filter { $0.holdsEntries || treeClasses.contains($0.key.className) }
    }

    /// The payload of a key, inflated, with the length of the key's own header (what references inside count from).
    func payload(_ key: Key) throws(InputError) -> [UInt8] {
        try withWindow { (window) throws(InputError) in try Self.payload(key, &window) }
    }

    private static func payload(_ key: Key, _ window: inout FileWindow) throws(InputError) -> [UInt8] {
        let stored = try window.bytes(key.payload)
        do throws(InputError) { return try Inflater.inflate(stored, to: key.objectLength) } catch {
            var located = error.located(object: key.name)
            located.offset = key.offset
            throw located
        }
    }

    private static func readDirectories(
        _ window: inout FileWindow, _ header: FileHeader
    ) throws(InputError) -> [DirectoryKey] {
        var found: [DirectoryKey] = []
        var pending: [(path: String, record: Int)] = [("", header.begin + header.nameLength)]
        var visited: Set<Int> = []
        var lists: Set<Int> = []
        while let (path, record) = pending.popLast() {
            guard visited.insert(record).inserted else { continue }
            let directory = try DirectoryRecord(&window, at: record)
            guard directory.keysOffset > 0 else {
                if path.isEmpty {
                    throw InputError(
                        .corrupt, "the file was not closed: it has no list of keys", offset: record,
                        hint: "Recover it with ROOT (open it for update once), or fetch it again.")
                }
                continue
            }
            // A damaged file may give many directories one list.
            guard lists.insert(directory.keysOffset).inserted else { continue }
            for key in try directory.keys(&window) {
                let full = path + key.name
                found.append(DirectoryKey(path: full, key: key))
                if key.className == "TDirectory" || key.className == "TDirectoryFile" {
                    pending.append((full + "/", key.offset + key.headerLength))
                }
            }
        }
        let order = found.indices.sorted {
            (found[$0].path, -found[$0].key.cycle, $0) < (found[$1].path, -found[$1].key.cycle, $1)
        }
        return order.map { found[$0] }
    }

    private static func readStreamers(
        _ window: inout FileWindow, _ header: FileHeader
    ) throws(InputError) -> StreamerCatalog {
        var catalog = StreamerCatalog()
        guard header.streamersOffset > 0, header.streamersLength > 0 else { return catalog }
        let key = try Key(&window, at: header.streamersOffset)
        let bytes = try payload(key, &window)
        var reader = ByteReader(bytes.span.bytes)
        do { try catalog.read(&reader, displacement: key.headerLength) } catch {
            throw error.located(object: "the streamer descriptions")
        }
        return catalog
    }
}

/// A key and the path it has in the file: `directory/name`.
package struct DirectoryKey: Sendable {
    package let path: String
    package let key: Key

    /// A TTree of any kind of ROOT's own, or an RNTuple.
    var holdsEntries: Bool { ["TTree", "TNtuple", "TNtupleD", "TTreeSQL"].contains(key.className) || isNTuple }
}
