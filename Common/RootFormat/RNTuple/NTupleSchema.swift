import Bytes

/// RNTuple's fields and columns, as its header and its footer's extension list them.
///
/// Source: ROOT's "RNTuple Binary Format Specification 1.0".
struct NTupleSchema: Sendable {
    struct Field: Sendable {
        enum Role: UInt16, Sendable { case leaf, collection, record, variant, streamed }

        var parent: Int
        var role: Role?
        var name: String
        var typeName: String
        var description: String
        /// A fixed-size array of its one subfield, or a bit set.
        var arraySize: Int?
    }

    struct Column: Sendable {
        var type: NTupleEncoding?
        var bits: Int
        var field: Int
        /// Alternative ways of storing a field; a cluster uses one.
        var representation: Int
        /// Elements before this were not written: they are zero.
        var firstElement: Int64
        var minimum: Double
        var maximum: Double
    }

    private(set) var fields: [Field] = []
    private(set) var columns: [Column] = []
    /// Projected fields have the columns of others.
    private(set) var aliases: [(column: Int, field: Int)] = []

    /// Adds the four lists of a schema description.
    mutating func add(_ reader: inout ByteReader) throws(InputError) {
        let fieldList = try NTupleFrame(&reader)
        for _ in 0..<fieldList.items { try addField(&reader) }
        try reader.seek(to: fieldList.end)
        let columnList = try NTupleFrame(&reader)
        for _ in 0..<columnList.items { try addColumn(&reader) }
        try reader.seek(to: columnList.end)
        let aliasList = try NTupleFrame(&reader)
        for _ in 0..<aliasList.items {
            let frame = try NTupleFrame(&reader)
            let column = Int(try reader.little(UInt32.self))
            let field = Int(try reader.little(UInt32.self))
            aliases.append((column, field))
            try reader.seek(to: frame.end)
        }
        try reader.seek(to: aliasList.end)
        let extra = try NTupleFrame(&reader)
        try reader.seek(to: extra.end)
    }

    private mutating func addField(_ reader: inout ByteReader) throws(InputError) {
        let frame = try NTupleFrame(&reader)
        try reader.skip(8)
        let parent = Int(try reader.little(UInt32.self))
        let role = try reader.little(UInt16.self)
        let flags = try reader.little(UInt16.self)
        let name = try reader.ntupleString()
        let typeName = try reader.ntupleString()
        _ = try reader.ntupleString()
        let description = try reader.ntupleString()
        var size: Int?
        if flags & 1 != 0 {
            let announced = try reader.little(UInt64.self)
            guard announced <= 1 << 24 else {
                throw InputError(.limit, "a fixed array is not plausible", object: name, found: "\(announced) items")
            }
            size = Int(announced)
        }
        fields.append(
            Field(
                parent: parent, role: Field.Role(rawValue: role), name: name, typeName: typeName,
                description: description, arraySize: size))
        try reader.seek(to: frame.end)
    }

    private mutating func addColumn(_ reader: inout ByteReader) throws(InputError) {
        let frame = try NTupleFrame(&reader)
        let type = try reader.little(UInt16.self)
        let bits = Int(try reader.little(UInt16.self))
        let field = Int(try reader.little(UInt32.self))
        let flags = try reader.little(UInt16.self)
        let representation = Int(try reader.little(UInt16.self))
        let first = flags & 1 != 0 ? try reader.little(Int64.self) : 0
        var range = (0.0, 0.0)
        if flags & 2 != 0 {
            range = (
                Double(bitPattern: try reader.little(UInt64.self)), Double(bitPattern: try reader.little(UInt64.self))
            )
        }
        let encoding = NTupleEncoding(rawValue: type)
        columns.append(
            Column(
                type: encoding.flatMap { $0.allows(bits) ? $0 : nil }, bits: bits, field: field,
                representation: representation,
                firstElement: first == .min ? 0 : abs(first), minimum: range.0, maximum: range.1))
        try reader.seek(to: frame.end)
    }
}

/// A frame's head: how long it is and, of a list, how many items it has.
struct NTupleFrame {
    let items: Int
    let end: Int

    init(_ reader: inout ByteReader) throws(InputError) {
        let start = reader.position
        let size = try reader.little(Int64.self)
        let length = size.magnitude
        guard length >= (size < 0 ? 12 : 8), length <= UInt64(reader.count - start) else {
            throw InputError(
                .badLength, "a frame does not fit its envelope", offset: start,
                expected: "up to \(reader.count - start)", found: "\(size)")
        }
        end = start + Int(length)
        guard size < 0 else {
            items = 0
            return
        }
        let count = Int(try reader.little(UInt32.self))
        guard count <= end - reader.position else {
            throw InputError(
                .badLength, "a list has more items than bytes", offset: start,
                expected: "up to \(end - reader.position)", found: "\(count)")
        }
        items = count
    }
}

extension ByteReader {
    mutating func ntupleString() throws(InputError) -> String {
        let length = Int(try little(UInt32.self))
        return String(decoding: try bytes(length), as: UTF8.self)
    }
}
