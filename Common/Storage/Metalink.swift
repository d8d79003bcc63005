package import Bytes
package import Cluster
import Foundation
import FoundationXML

/// Replica lists: Metalink 4 (RFC 5854) and the older 3.0, as grid catalogues give them.
package enum Metalink {
    /// - Parameter isStopped: asked at each file: whether nobody waits for the answer any more.
    /// - Returns: the files it names, each with its replicas in the order of their priority.
    /// - Throws: `InputError` where it is not a replica list, names no file or more than `ListingLimits.files`.
    package static func parse(
        _ text: String, url: String, isStopped: @escaping @Sendable () -> Bool = { false }
    ) throws(InputError) -> [FileReplicas] {
        let reader = Reader(isStopped: isStopped)
        let parser = XMLParser(data: Data(text.utf8))
        // A replica list has no business with other files.
        parser.shouldResolveExternalEntities = false
        parser.delegate = reader
        let isWhole = parser.parse()
        if isStopped() {
            throw InputError(.input, "the listing was stopped, since nobody waits for it any more", file: url)
        }
        guard reader.files.count <= ListingLimits.files else {
            throw InputError(
                .limit, "the replica list names too many files", file: url,
                expected: "at most \(ListingLimits.files)", hint: "Divide it into several.")
        }
        guard isWhole else {
            throw InputError(
                .corrupt, "the replica list is not XML: \(parser.parserError.map { "\($0)" } ?? "unknown error")",
                file: url,
                object: "line \(parser.lineNumber)", expected: "a Metalink file (RFC 5854)")
        }
        guard reader.isMetalink else {
            throw InputError(.corrupt, "this is not a replica list", file: url, expected: "an element metalink")
        }
        var files: [FileReplicas] = []
        for file in reader.files {
            // Priority: the lower the better in version 4; preference: the higher the better in version 3.
            let urls = file.replicas.enumerated().sorted { ($0.element.rank, $0.offset) < ($1.element.rank, $1.offset) }
                .map(\.element.url)
            guard let first = urls.first else {
                throw InputError(
                    .missing, "the replica list names no replica that can be read", file: url, object: file.name)
            }
            files.append(
                FileReplicas(
                    urls, logicalName: file.name.isEmpty ? StorageURL(first).path : file.name, size: file.size,
                    adler32: file.adler32))
        }
        guard !files.isEmpty else { throw InputError(.missing, "the replica list names no file", file: url) }
        return files
    }

    private struct File {
        var name = ""
        var size: Int?
        var adler32: String?
        var replicas: [(rank: Int, url: String)] = []
    }

    private final class Reader: NSObject, XMLParserDelegate {
        private let isStopped: () -> Bool
        var isMetalink = false
        var files: [File] = []
        private var text = ""
        private var attributes: [String: String] = [:]

        init(isStopped: @escaping () -> Bool) { self.isStopped = isStopped }

        func parser(
            _ parser: XMLParser, didStartElement element: String, namespaceURI: String?, qualifiedName: String?,
            attributes: [String: String]
        ) {
            text = ""
            self.attributes = attributes
            if element == "metalink" { isMetalink = true }
            guard element == "file" else { return }
            files.append(File(name: attributes["name"] ?? ""))
            if files.count > ListingLimits.files || isStopped() { parser.abortParsing() }
        }

        func parser(_ parser: XMLParser, foundCharacters string: String) {
            if text.utf8.count < 65_536 { text += string }
        }

        func parser(_ parser: XMLParser, didEndElement element: String, namespaceURI: String?, qualifiedName: String?) {
            guard !files.isEmpty else { return }
            let content = String(text.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
            let last = files.count - 1
            switch element {
            case "size": files[last].size = Int(content)
            case "hash" where attributes["type"]?.lowercased() == "adler32": files[last].adler32 = content.lowercased()
            case "url":
                switch StorageURL(content).kind {
                case .xrootd, .http, .local: break
                case .logical, .unsupported: return
                }
                let rank =
                    attributes["priority"].flatMap { Int($0) } ?? attributes["preference"].flatMap { Int($0) }.map {
                        1000 - max(0, min($0, 1000))
                    } ?? 999_999
                // No real file has more replicas, and each is ranked for each read.
                if files[last].replicas.count < 100 { files[last].replicas.append((rank, content)) }
            default: break
            }
            text = ""
        }
    }
}
