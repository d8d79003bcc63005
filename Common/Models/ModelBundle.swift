package import Bytes

/// A finished model as one file: an uncompressed tar of `model.onnx`, `schema.json`, `specs.json`, `metrics.json` and
/// `lineage.json`. The same content gives the same bytes: no times, no owners.
package struct ModelBundle: Sendable, Equatable {
    /// The names of a bundle's documents.
    package enum Name: String, Sendable, CaseIterable {
        case model = "model.onnx"
        /// The `DataSchema`, with its format.
        case schema = "schema.json"
        case specs = "specs.json"
        case metrics = "metrics.json"
        case lineage = "lineage.json"
    }

    /// A document's name and content.
    package struct Document: Sendable, Equatable {
        package var name: String
        package var bytes: [UInt8]

        /// Creates a document of a bundle.
        package init(_ name: Name, _ bytes: [UInt8]) { self.init(name: name.rawValue, bytes: bytes) }

        init(name: String, bytes: [UInt8]) {
            self.name = name
            self.bytes = bytes
        }
    }

    /// In the order of the archive.
    package var documents: [Document]

    /// Creates a bundle.
    package init(_ documents: [Document]) { self.documents = documents }

    /// The most bytes of a bundle that an inference node takes.
    package static let maxBytes = 1 << 30
    private static let blockSize = 512
    /// The most documents that an archive may have.
    private static let maxDocuments = 64

    /// The content of a document.
    ///
    /// - Throws: `InputError` with `.corrupt` where the bundle lacks it.
    package func content(_ name: Name) throws(InputError) -> [UInt8] {
        guard let document = documents.first(where: { $0.name == name.rawValue }) else {
            throw InputError(
                .corrupt, "the bundle is incomplete", expected: name.rawValue,
                found: documents.map(\.name).joined(separator: ", "))
        }
        return document.bytes
    }

    // MARK: The archive

    /// Writes the archive.
    package func encode() -> [UInt8] {
        let size = Self.blockSize
        var archive: [UInt8] = []
        archive.reserveCapacity(documents.reduce(2 * size) { $0 + $1.bytes.count + 2 * size })
        for document in documents {
            archive += Self.header(document.name, size: document.bytes.count)
            archive += document.bytes
            archive += [UInt8](repeating: 0, count: (size - document.bytes.count % size) % size)
        }
        return archive + [UInt8](repeating: 0, count: 2 * size)
    }

    /// The POSIX ustar header of a document.
    private static func header(_ name: String, size: Int) -> [UInt8] {
        var block = [UInt8](repeating: 0, count: blockSize)
        func put(_ text: String, at offset: Int) {
            block.replaceSubrange(offset..<offset + text.utf8.count, with: text.utf8)
        }
        func octal(_ value: Int, digits: Int) -> String {
            let text = String(value, radix: 8)
            return String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        put(name, at: 0)
        put(octal(0o644, digits: 7), at: 100)
        put(octal(0, digits: 7), at: 108)
        put(octal(0, digits: 7), at: 116)
        put(octal(size, digits: 11), at: 124)
        put(octal(0, digits: 11), at: 136)
        put("        ", at: 148)
        put("0", at: 156)
        put("ustar", at: 257)
        put("00", at: 263)
        put(octal(block.reduce(0) { $0 + Int($1) }, digits: 6), at: 148)
        block[154] = 0
        return block
    }

    /// Reads an archive as `encode` writes it, byte for byte, that has at least a model and a schema. Nothing is
    /// allocated beyond the size of the bytes.
    ///
    /// - Throws: `InputError` where the bytes are not such an archive.
    package static func decode(_ bytes: [UInt8]) throws(InputError) -> ModelBundle {
        var bundle = ModelBundle([])
        var offset = 0
        guard bytes.count >= blockSize else {
            throw InputError(
                .corrupt, "these bytes are not a bundle", expected: "a tar archive of at least \(blockSize) bytes",
                found: "\(bytes.count) bytes")
        }
        while offset + blockSize <= bytes.count, bytes[offset] != 0 {
            let (name, size) = try header(bytes, at: offset)
            guard bundle.documents.count < maxDocuments, !bundle.documents.contains(where: { $0.name == name }) else {
                throw InputError(
                    .corrupt, "a document of the bundle is duplicated, or there are too many", object: name,
                    offset: offset, expected: "at most \(maxDocuments) documents of different names")
            }
            let start = offset + blockSize
            let end = start + (size + blockSize - 1) / blockSize * blockSize
            guard end <= bytes.count, bytes[start + size..<end].allSatisfy({ $0 == 0 }) else {
                throw InputError(
                    .corrupt, "these bytes are not a bundle: a document is not padded with zeroes to whole blocks",
                    object: name, offset: start + size)
            }
            bundle.documents.append(Document(name: name, bytes: Array(bytes[start..<start + size])))
            offset = end
        }
        guard bytes.count - offset == 2 * blockSize, bytes[offset...].allSatisfy({ $0 == 0 }) else {
            throw InputError(
                .corrupt, "the bundle is cut, or something follows it", offset: offset,
                expected: "\(2 * blockSize) zeroes at its end", found: "\(bytes.count - offset) bytes")
        }
        _ = try bundle.content(.model)
        _ = try bundle.content(.schema)
        return bundle
    }

    /// Reads a document's header, which must be the one that `encode` writes for its name and size.
    private static func header(
        _ bytes: [UInt8], at offset: Int
    ) throws(InputError) -> (name: String, size: Int) {
        func text(_ field: Range<Int>) -> String {
            String(
                decoding: bytes[offset + field.lowerBound..<offset + field.upperBound].prefix {
                    $0 != 0 && $0 != 0x20
                }, as: UTF8.self)
        }
        let available = bytes.count - offset - blockSize
        let magic = text(257..<262)
        guard magic == "ustar", let size = Int(text(124..<135), radix: 8), (0...available).contains(size) else {
            throw InputError(
                .corrupt, "these bytes are not a bundle: a tar header is invalid", offset: offset,
                expected: "ustar and a size up to \(available)",
                found: "\(magic.debugDescription) and \(text(124..<135).debugDescription)")
        }
        let name = text(0..<100)
        // What is no UTF-8 may be longer once it is read.
        guard name.utf8.count <= 100, bytes[offset..<offset + blockSize].elementsEqual(header(name, size: size)) else {
            throw InputError(
                .badChecksum, "a tar header is not one that Beamline writes", object: name, offset: offset,
                hint: "Push the bundle as Beamline made it: an archive that was unpacked and packed again has other "
                    + "bytes.")
        }
        return (name, size)
    }
}
