import Bytes

/// One member of a class as a StreamerInfo describes it.
struct StreamerElement: Sendable {
    enum Kind: Int, Sendable { case base = 0 }

    var name: String
    var title: String
    var type: Int
    var arrayLength: Int
    var typeName: String
    /// Base classes only.
    var baseVersion = 0
    /// Pointers to arrays: the member that counts.
    var countName = ""
}

/// What a file says of its classes' layouts: class name -> version -> members.
struct StreamerCatalog: Sendable {
    private(set) var classes: [String: [Int: [StreamerElement]]] = [:]

    /// The layout of a class: as the file describes it, else as ROOT 5.34 to 6 writes it where we know.
    func elements(_ name: String, version: Int) -> [StreamerElement]? {
        if let found = classes[name]?[version] { return found }
        if let known = BuiltinStreamers.elements(name, version: version) { return known }
        // A foreign class carries a checksum instead of a version; it has one description.
        if let only = classes[name], only.count == 1, version <= 1 { return only.values.first }
        return nil
    }

    /// Reads the TList of TStreamerInfo.
    mutating func read(_ reader: inout ByteReader, displacement: Int) throws(FormatError) {
        var objects = ObjectReader(catalog: StreamerCatalog(), displacement: displacement)
        let list = try objects.object(of: "TList", &reader)
        for case .some(let info) in list.items where info.className == "TStreamerInfo" {
            let elements = info.items.compactMap { $0?.element }
            classes[info.string("fName"), default: [:]][Int(info.integer("fClassVersion"))] = elements
        }
    }
}

extension ObjectReader {
    /// TStreamerInfo's own layout is fixed: it describes all others.
    func streamerInfo(into object: StreamedObject, _ reader: inout ByteReader) throws(FormatError) {
        let header = try VersionHeader(&reader)
        try named(into: object, &reader)
        try reader.skip(4)
        object.set("fClassVersion", .integer(Int64(try reader.i32())))
        var nested = self
        if let array = try nested.pointer(&reader) { object.items = array.items }
        try header.finish(&reader)
    }

    func streamerElement(into object: StreamedObject, _ reader: inout ByteReader) throws(FormatError) {
        let outer = try VersionHeader(&reader)
        let inner = try VersionHeader(&reader)
        try named(into: object, &reader)
        let type = Int(try reader.i32())
        try reader.skip(4)
        let length = Int(try reader.i32())
        try reader.skip(4)
        if inner.version == 1 {
            try reader.skip(4 * (try reader.count32(itemSize: 4)))
        } else {
            try reader.skip(20)
        }
        var element = StreamerElement(
            name: object.string("fName"), title: object.string("fTitle"), type: type, arrayLength: length,
            typeName: try reader.rootString())
        try inner.finish(&reader)
        switch object.className {
        case "TStreamerBase":
            element.baseVersion = outer.version > 2 ? Int(try reader.i32()) : 0
        case "TStreamerBasicPointer", "TStreamerLoop":
            try reader.skip(4)
            element.countName = try reader.rootString()
        default: break
        }
        try outer.finish(&reader)
        object.element = element
    }
}
