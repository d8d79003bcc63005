import Bytes

/// One member of a class as a StreamerInfo describes it.
struct StreamerElement: Sendable {
    var name: String
    var title: String
    /// TStreamerInfo's number for the type: 20 more for a fixed array, 40 more for a counted one.
    var type: Int
    var arrayLength: Int
    var typeName: String
    /// Of a fixed array, outermost first.
    var dimensions: [Int] = []
    var isBase = false
    /// A standard collection or string.
    var isCollection = false
    /// Base classes only.
    var baseVersion = 0
    /// Pointers to arrays: the member that counts.
    var countName = ""
}

/// A class in one version.
struct ClassLayout: Sendable {
    let version: Int
    let checksum: UInt32
    let elements: [StreamerElement]
}

/// The layouts of classes, as the file describes them.
struct StreamerCatalog: Sendable {
    /// By class name without spaces and `std::`; the newest version last.
    private var classes: [String: [ClassLayout]] = [:]

    /// The layout of a class: as the file describes it, else as ROOT 5.34 to 6 writes it where we know.
    func elements(_ name: String, version: Int) -> [StreamerElement]? {
        let known = classes[CxxType(name).text]
        if let found = known?.first(where: { $0.version == version }) { return found.elements }
        if let builtin = BuiltinStreamers.elements(name, version: version) { return builtin }
        // A foreign class carries a checksum instead of a version; it has one description.
        if let known, known.count == 1, version <= 1 { return known[0].elements }
        return nil
    }

    /// The newest description of a class. A template's instance that is not described has the layout of the others,
    /// where those agree and no member's type is an argument of the template.
    func latest(_ name: String) -> ClassLayout? {
        let text = CxxType(name).text
        if let found = classes[text]?.last ?? classes[name]?.last { return found }
        guard let open = text.firstIndex(of: "<"), !text.hasSuffix("*") else { return nil }
        let same = classes.filter { $0.key.hasPrefix(text[...open]) }
        let relatives = same.compactMap(\.value.last)
        let depends = same.contains { name, layouts in
            let arguments = CxxType(name).arguments.map(\.text)
            return layouts.contains {
                $0.elements.contains { element in
                    arguments.contains { CxxType(element.typeName).text.hasPrefix($0) || element.name == $0 }
                }
            }
        }
        guard !depends else { return nil }
        func form(_ layout: ClassLayout) -> [String] { layout.elements.map { "\($0.name) \($0.type) \($0.typeName)" } }
        guard let first = relatives.first,
            relatives.dropFirst().allSatisfy({ form($0) == form(first) && $0.version == first.version })
        else { return nil }
        // Its checksum is its own and unknown.
        return ClassLayout(version: first.version, checksum: 0, elements: first.elements)
    }

    func layout(_ name: String, version: Int, checksum: UInt32) -> ClassLayout? {
        let known = classes[CxxType(name).text] ?? []
        return known.first { $0.version == version && $0.checksum == checksum } ?? known.first {
            $0.checksum == checksum && checksum != 0
        }
            ?? known.first { $0.version == version }
    }

    /// Whether a class is another, or derived from it, as far as the file describes its bases.
    func isDerived(_ name: String, from base: String) -> Bool {
        var (seen, left): (Set<String>, [String]) = ([], [name])
        while let name = left.popLast() {
            if name == base { return true }
            guard seen.insert(name).inserted, let layout = classes[CxxType(name).text]?.last else { continue }
            left += layout.elements.filter(\.isBase).map(\.name)
        }
        return false
    }

    /// Whether the file describes a member of a class in several versions whose values have different sizes: baskets of
    /// one size may then stand where those of another are expected.
    func isAmbiguous(_ className: String, member: Substring) -> Bool {
        guard let layouts = classes[CxxType(className).text], layouts.count > 1 else { return false }
        let sizes = layouts.compactMap { layout in
            layout.elements.first { $0.name.prefix { $0 != "[" } == member }?.encoding?.size
        }
        return Set(sizes).count > 1
    }

    /// Reads the TList of TStreamerInfo.
    mutating func read(_ reader: inout ByteReader, displacement: Int) throws(InputError) {
        var objects = ObjectReader(catalog: StreamerCatalog(), displacement: displacement)
        defer { objects.dismantle() }
        let list = try objects.object(of: "TList", &reader)
        for case .some(let info) in list.items where info.className == "TStreamerInfo" {
            let layout = ClassLayout(
                version: Int(info.integer("fClassVersion")),
                checksum: UInt32(truncatingIfNeeded: info.integer("fCheckSum")),
                elements: info.items.compactMap { $0?.element })
            classes[CxxType(info.string("fName")).text, default: []].append(layout)
        }
        for name in classes.keys { classes[name]!.sort { $0.version < $1.version } }
    }
}

extension ObjectReader {
    /// TStreamerInfo's own layout is fixed: it describes all others.
    func streamerInfo(into object: StreamedObject, _ reader: inout ByteReader) throws(InputError) {
        let header = try VersionHeader(&reader)
        try named(into: object, &reader)
        object.set("fCheckSum", .integer(Int64(try reader.u32())))
        object.set("fClassVersion", .integer(Int64(try reader.i32())))
        var nested = self
        if let array = try nested.pointer(&reader) { object.items = array.items }
        try header.finish(&reader)
    }

    func streamerElement(into object: StreamedObject, _ reader: inout ByteReader) throws(InputError) {
        let outer = try VersionHeader(&reader)
        // A TStreamerSTLstring is a TStreamerSTL, which is a TStreamerElement.
        let middle: VersionHeader? = object.className == "TStreamerSTLstring" ? try VersionHeader(&reader) : nil
        let inner = try VersionHeader(&reader)
        try named(into: object, &reader)
        let type = Int(try reader.i32())
        try reader.skip(4)
        let length = Int(try reader.i32())
        let rank = Int(try reader.i32())
        var dimensions: [Int] = []
        let stored = inner.version == 1 ? try reader.count32(itemSize: 4) : 5
        for index in 0..<stored {
            let size = Int(try reader.i32())
            if index < rank { dimensions.append(size) }
        }
        if dimensions.reduce(1, { $0.multipliedReportingOverflow(by: $1).partialValue }) != length {
            dimensions = length > 0 ? [length] : []
        }
        var element = StreamerElement(
            name: object.string("fName"), title: object.string("fTitle"), type: type, arrayLength: length,
            typeName: try reader.rootString(), dimensions: dimensions)
        try inner.finish(&reader)
        switch object.className {
        case "TStreamerBase":
            element.isBase = true
            element.baseVersion = outer.version > 2 ? Int(try reader.i32()) : 0
        case "TStreamerBasicPointer", "TStreamerLoop":
            try reader.skip(4)
            element.countName = try reader.rootString()
        case "TStreamerSTL", "TStreamerSTLstring": element.isCollection = !element.typeName.contains("*")
        default: break
        }
        try middle?.finish(&reader)
        try outer.finish(&reader)
        object.element = element
    }
}
