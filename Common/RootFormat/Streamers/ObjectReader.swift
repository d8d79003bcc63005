import Bytes

/// The version before an object, with the byte count that most have.
struct VersionHeader {
    let version: Int
    /// The offset at which the object ends; nil where its header has no length.
    let end: Int?

    init(_ reader: inout ByteReader) throws(InputError) {
        let start = reader.position
        let first = try reader.u16()
        guard first & 0x4000 != 0 else {
            version = Int(Int16(bitPattern: first))
            end = nil
            return
        }
        let count = Int(first & 0x3FFF) << 16 | Int(try reader.u16())
        guard count >= 2, count <= reader.remaining else {
            throw InputError(
                .badLength, "an object's byte count does not fit its record", offset: start,
                expected: "2 to \(reader.remaining)", found: "\(count)")
        }
        end = start + 4 + count
        version = Int(try reader.i16())
    }

    /// Goes to the object's end, over members that a later version may have added.
    func finish(_ reader: inout ByteReader) throws(InputError) {
        if let end { try reader.seek(to: end) }
    }
}

/// Reads objects by their descriptions: the metadata of trees, not their data.
struct ObjectReader {
    private enum Reference {
        case object(StreamedObject)
        case className(String)
    }

    /// References are shared by nested readers of one record.
    private final class References { var found: [Int: Reference] = [:] }

    private let catalog: StreamerCatalog
    /// The key's header length: references count from the key's start.
    private let displacement: Int
    private let references = References()
    private var depth = 0

    init(catalog: StreamerCatalog, displacement: Int) {
        self.catalog = catalog
        self.displacement = displacement
    }

    /// Takes the objects of the record apart, when their content has been taken over.
    func dismantle() {
        for case .object(let object) in references.found.values { object.dismantle() }
        references.found = [:]
    }

    /// Reads an object whose class is known, its version first.
    mutating func object(of className: String, _ reader: inout ByteReader) throws(InputError) -> StreamedObject {
        let object = StreamedObject(className: className)
        try fill(object, as: className, &reader)
        return object
    }

    /// Reads what ROOT writes for a pointer: null, a reference to an earlier object, or a class and an object.
    mutating func pointer(_ reader: inout ByteReader) throws(InputError) -> StreamedObject? {
        let start = reader.position
        var tag = try reader.u32()
        var end: Int?
        var tagPosition = start
        if tag & 0x4000_0000 != 0, tag != 0xFFFF_FFFF {
            let count = Int(tag & 0x3FFF_FFFF)
            guard count >= 4, count <= reader.remaining else {
                throw InputError(
                    .badLength, "an object's byte count does not fit its record", offset: start,
                    expected: "4 to \(reader.remaining)", found: "\(count)")
            }
            end = start + 4 + count
            tagPosition = reader.position
            tag = try reader.u32()
        }
        let className: String
        if tag == 0xFFFF_FFFF {
            className = try reader.zeroTerminatedString()
            references.found[tagPosition + displacement + 2] = .className(className)
        } else if tag & 0x8000_0000 != 0 {
            guard case .className(let known) = references.found[Int(tag & 0x7FFF_FFFF)] else {
                guard let end else {
                    throw InputError(.corrupt, "an object refers to an unknown class", offset: start)
                }
                try reader.seek(to: end)
                return nil
            }
            className = known
        } else {
            if let end { try reader.seek(to: end) }
            if case .object(let known) = references.found[Int(tag)] { return known }
            return nil
        }
        let object = StreamedObject(className: className)
        references.found[start + displacement + 2] = .object(object)
        do {
            try fill(object, as: className, &reader)
        } catch {
            // An object that cannot be read is skipped, where its length is known.
            guard end != nil, error.code == .unsupported else { throw error }
        }
        if let end { try reader.seek(to: end) }
        return object
    }

    /// Reads the members of `className` into `object`, which may be of a derived class.
    private mutating func fill(
        _ object: StreamedObject, as className: String, _ reader: inout ByteReader
    ) throws(InputError) {
        depth += 1
        defer { depth -= 1 }
        guard depth < 100 else {
            throw InputError(.corrupt, "objects nest too deep", object: className, offset: reader.position)
        }
        switch className {
        case "TObject": try rootObject(&reader)
        case "TNamed":
            try named(into: object, &reader)
        case "TString":
            object.set("value", .string(try reader.rootString()))
        case "TObjString":
            let header = try VersionHeader(&reader)
            try rootObject(&reader)
            object.set("value", .string(try reader.rootString()))
            try header.finish(&reader)
        case "TObjArray", "TList", "THashList", "TClonesArray": try collection(into: object, className, &reader)
        case "TStreamerInfo": try streamerInfo(into: object, &reader)
        case "TBasket": object.basket = try embeddedBasket(&reader)
        case "TArrayC", "TArrayS", "TArrayI", "TArrayL", "TArrayL64", "TArrayF", "TArrayD":
            let type = ["C": 1, "S": 2, "I": 3, "L": 4, "L64": 16, "F": 5, "D": 8][className.dropFirst(6)]!
            let count = try reader.count32(itemSize: 1)
            object.set("fArray", try numbers(type, count, &reader))
        default:
            if className.hasPrefix("TStreamer") { return try streamerElement(into: object, &reader) }
            try described(into: object, className, &reader)
        }
    }

    private mutating func described(
        into object: StreamedObject, _ className: String, _ reader: inout ByteReader
    ) throws(InputError) {
        let start = reader.position
        let header = try VersionHeader(&reader)
        guard let elements = catalog.elements(className, version: header.version) else {
            if header.end != nil { return try header.finish(&reader) }
            throw InputError(
                .unsupported, "the file does not describe the class \(className) in version \(header.version)",
                offset: start)
        }
        // A foreign class: version 0 is followed by its checksum.
        if header.version <= 0, header.end != nil, !className.hasPrefix("T") { try reader.skip(4) }
        for element in elements {
            if let end = header.end, reader.position >= end { break }
            do {
                try member(element, of: object, &reader)
            } catch {
                // What follows an unreadable member is unknown, but the object's end is not.
                guard error.code == .unsupported, header.end != nil else {
                    throw error.located(object: "\(className)::\(element.name)")
                }
                break
            }
        }
        try header.finish(&reader)
    }

    private mutating func member(
        _ element: StreamerElement, of object: StreamedObject, _ reader: inout ByteReader
    ) throws(InputError) {
        switch element.type {
        case 0:
            if element.name == "TObject" { return try rootObject(&reader) }
            try fill(object, as: element.name, &reader)
        case 66: try rootObject(&reader)
        case 67: try named(into: object, &reader)
        case 1...6, 8...19:
            let value = try numbers(element.type, 1, &reader)
            switch value {
            case .integers(let values): object.set(element.name, .integer(values[0]))
            case .reals(let values): object.set(element.name, .real(values[0]))
            case .integer, .real, .string, .object: break
            }
        case 7:
            let count = try reader.count32(itemSize: 1)
            object.set(element.name, .string(String(decoding: try reader.bytes(count), as: UTF8.self)))
        case 21...39:
            object.set(element.name, try numbers(element.type - 20, element.arrayLength, &reader))
        case 41...59:
            guard try reader.u8() != 0 else { return object.set(element.name, .integers([])) }
            object.set(element.name, try numbers(element.type - 40, Int(object.integer(element.countName)), &reader))
        case 65: object.set(element.name, .string(try reader.rootString()))
        case 61, 62, 63, 68:
            let className = element.typeName.filter { $0 != "*" }
            object.set(element.name, .object(try self.object(of: className, &reader)))
        case 64, 69:
            object.set(element.name, .object(try pointer(&reader)))
        default:
            throw InputError(
                .unsupported, "no reader for a member of streamer type \(element.type) (\(element.typeName))")
        }
    }

    private func numbers(_ type: Int, _ count: Int, _ reader: inout ByteReader) throws(InputError) -> StreamedValue {
        let sizes = [0, 1, 2, 4, 8, 4, 4, 0, 8, 4, 0, 1, 2, 4, 8, 4, 8, 8, 1, 3]
        guard type > 0, type < sizes.count, count >= 0, sizes[type] > 0, count <= reader.remaining / sizes[type] else {
            throw InputError(
                .badLength, "an array is longer than its record", offset: reader.position,
                found: "\(count) of type \(type)")
        }
        var integers: [Int64] = []
        var reals: [Double] = []
        integers.reserveCapacity(count)
        for _ in 0..<count {
            switch type {
            case 1: integers.append(Int64(try reader.i8()))
            case 2: integers.append(Int64(try reader.i16()))
            case 3, 6: integers.append(Int64(try reader.i32()))
            case 4, 16, 14, 17: integers.append(try reader.i64())
            case 5, 9: reals.append(Double(try reader.f32()))
            case 8: reals.append(try reader.f64())
            case 11, 18: integers.append(Int64(try reader.u8()))
            case 12: integers.append(Int64(try reader.u16()))
            case 13, 15: integers.append(Int64(try reader.u32()))
            default: throw InputError(.unsupported, "no reader for numbers of streamer type \(type)")
            }
        }
        return type == 5 || type == 8 || type == 9 ? .reals(reals) : .integers(integers)
    }

    private func rootObject(_ reader: inout ByteReader) throws(InputError) {
        let header = try VersionHeader(&reader)
        try reader.skip(4)
        let bits = try reader.u32()
        // A referenced object is followed by its process identifier.
        if bits & 0x10 != 0 { try reader.skip(2) }
        try header.finish(&reader)
    }

    func named(into object: StreamedObject, _ reader: inout ByteReader) throws(InputError) {
        let header = try VersionHeader(&reader)
        try rootObject(&reader)
        object.set("fName", .string(try reader.rootString()))
        object.set("fTitle", .string(try reader.rootString()))
        try header.finish(&reader)
    }

    private mutating func collection(
        into object: StreamedObject, _ className: String, _ reader: inout ByteReader
    ) throws(InputError) {
        let header = try VersionHeader(&reader)
        guard className != "TClonesArray" else { return try header.finish(&reader) }
        let isArray = className == "TObjArray"
        if header.version > (isArray ? 2 : 3) { try rootObject(&reader) }
        if header.version > 1 { _ = try reader.rootString() }
        let count = try reader.count32(itemSize: 4)
        if isArray { try reader.skip(4) }
        for _ in 0..<count {
            object.items.append(try pointer(&reader))
            guard !isArray else { continue }
            let length = try reader.u8()
            try reader.skip(header.version > 4 && length == 255 ? Int(try reader.i32()) : Int(length))
        }
        try header.finish(&reader)
    }

    private func embeddedBasket(_ reader: inout ByteReader) throws(InputError) -> EmbeddedBasket {
        let key = try Key(&reader)
        let header = try BasketHeader(&reader)
        var offsets: [Int32] = []
        if header.hasOffsets {
            if header.entries > 0 { offsets = try int32Array(&reader) }
            if header.flag > 40 { _ = try int32Array(&reader) }
            if header.flag > 20, header.flag < 40 { offsets = offsets.map { $0 & 0x00FF_FFFF } }
        }
        var data: [UInt8] = []
        if header.flag == 1 || header.flag > 10 {
            let length = header.version > 1 ? header.last : try reader.count32(itemSize: 1)
            let all = try reader.bytes(length)
            guard key.headerLength <= all.count else {
                throw InputError(
                    .corrupt, "an embedded basket is shorter than its key", object: key.name, offset: reader.position)
            }
            data = Array(all[key.headerLength...])
        }
        return EmbeddedBasket(
            entries: header.entries, keyLength: key.headerLength, last: header.last, offsets: offsets, data: data)
    }

    private func int32Array(_ reader: inout ByteReader) throws(InputError) -> [Int32] {
        let count = try reader.count32(itemSize: 4)
        var values: [Int32] = []
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(try reader.i32()) }
        return values
    }
}
