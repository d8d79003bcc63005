import Bytes
import Columns

/// Makes recipes from class descriptions and C++ type names.
///
/// Follows TStreamerInfo's rules: an object has a version with a byte count before it; a collection that is a member
/// has one too, a collection inside a collection has none; bases are objects of their own.
struct RecipeCompiler {
    /// Compiles something inside of something else: the items of a collection, a member of an object.
    typealias Part = (inout RecipeCompiler) throws(InputError) -> Recipe

    let catalog: StreamerCatalog
    private(set) var leaves: [RecipeLeaf] = []
    private var levels: [Shape.Level] = []
    private var path: [String] = []
    private var registers: [[String: Int]] = []
    private var registerCount = 0
    private var depth = 0
    /// Types and members compiled; classes may hold each other so that their number explodes.
    private var steps = 0
    /// Counters that are read before what they count.
    private var counted: Set<Int> = []
    /// The class being compiled.
    private var owner = ""

    init(catalog: StreamerCatalog) { self.catalog = catalog }

    func finish(_ body: Recipe) -> BranchRecipe {
        // A class may have a member of its base's name: that of the base is then named with its class.
        var named = leaves
        var last: [String: Int] = [:]
        for (index, leaf) in leaves.enumerated() {
            if let other = last[leaf.path], !leaves[other].owner.isEmpty, leaves[other].owner != leaf.owner {
                var parts = leaf.path.split(separator: ".").map(String.init)
                let member = parts.popLast() ?? ""
                parts.append(leaves[other].owner + "::" + member)
                named[other].path = parts.joined(separator: ".")
            }
            last[leaf.path] = index
        }
        return BranchRecipe(body: body, leaves: named, registers: registerCount)
    }

    // MARK: Building blocks

    private mutating func leaf(_ type: DataType, _ typeName: String, text: Bool = false) -> Int {
        leaves.append(
            RecipeLeaf(
                path: path.joined(separator: "."), type: type, shape: Shape(levels), isText: text, typeName: typeName,
                owner: owner))
        return leaves.count - 1
    }

    mutating func number(_ encoding: Encoding, _ typeName: String) -> Recipe {
        .number(encoding, leaf: leaf(encoding.type, typeName))
    }

    mutating func text(_ typeName: String) -> Recipe {
        levels.append(.varying)
        defer { levels.removeLast() }
        return .text(leaf: leaf(.uint8, typeName, text: true))
    }

    private mutating func markUnsupported(_ typeName: String, _ reason: String) {
        leaves[leaf(.uint8, typeName)].reason = reason
    }

    mutating func varying(
        _ item: Part
    ) throws(InputError) -> (Recipe, Recipe.LevelUse) {
        let first = leaves.count
        let level = levels.count { $0 == .varying }
        levels.append(.varying)
        defer { levels.removeLast() }
        let recipe = try item(&self)
        return (recipe, Recipe.LevelUse(leaves: (first..<leaves.count).map { ($0, level) }))
    }

    /// An array of fixed dimensions; members of split collections have theirs flattened to one, as their readers do.
    mutating func fixed(
        _ dimensions: [Int], _ item: Part
    ) throws(InputError) -> Recipe {
        let count = dimensions.reduce(1) { $0.multipliedReportingOverflow(by: $1).overflow ? .max : $0 * $1 }
        guard (1...1 << 24).contains(count) else {
            throw InputError(.unsupported, "an array of \(dimensions) items is not plausible")
        }
        levels += dimensions.map { .fixed($0) }
        defer { levels.removeLast(dimensions.count) }
        let body = try item(&self)
        return body.mayBeEmpty ? .several([]) : .fixed(count, body)
    }

    private mutating func within(
        _ name: String, _ body: Part
    ) throws(InputError) -> Recipe {
        path.append(name)
        defer { path.removeLast() }
        return try body(&self)
    }

    private mutating func step() throws(InputError) {
        steps += 1
        guard steps < 100_000 else {
            throw InputError(.limit, "a class has too many members", expected: "fewer than 100000")
        }
    }

    // MARK: Types

    /// A value of a named type. `headed`: whether a collection has a header here.
    mutating func value(_ type: CxxType, headed: Bool) throws(InputError) -> Recipe {
        try step()
        depth += 1
        defer { depth -= 1 }
        guard depth < 32 else { throw InputError(.unsupported, "types nest too deep at \(type.text)") }
        if type.isPointer { throw InputError(.unsupported, "a pointer to \(type.text.dropLast()) is not a number") }
        if let number = type.number { return self.number(number, type.text) }
        switch type.name {
        case "string":
            let body = text(type.text)
            return headed ? .headed(body) : body
        case "TString": return text(type.text)
        case "array" where type.arguments.count == 2:
            guard let count = Int(type.arguments[1].name) else {
                throw InputError(.unsupported, "no size in \(type.text)")
            }
            return try fixed([count]) { (me) throws(InputError) in try me.value(type.arguments[0], headed: false) }
        case "bitset":
            let (item, use) = try varying { (me) throws(InputError) in me.number(.plain(.bool), "bool") }
            return headed ? .headed(.sequence(item, use)) : .sequence(item, use)
        case _ where CxxType.sequences.contains(type.name) && !type.arguments.isEmpty:
            return try sequence(type, headed: headed)
        case _ where CxxType.maps.contains(type.name) && type.arguments.count >= 2: return try map(type, headed: headed)
        default: return try object(type)
        }
    }

    private mutating func sequence(_ type: CxxType, headed: Bool) throws(InputError) -> Recipe {
        let item = type.arguments[0]
        let first = leaves.count
        let (whole, use) = try varying { (me) throws(InputError) in try me.value(item, headed: false) }
        guard headed else { return .sequence(whole, use) }
        let known = leaves
        // The same leaves, reached member by member.
        leaves.removeSubrange(first...)
        var memberWise: Recipe?
        do throws(InputError) { memberWise = try columns(item) } catch { if error.code == .limit { throw error } }
        if memberWise == nil || leaves.count != known.count
            || !zip(leaves, known).allSatisfy({ $0.isSameColumn(as: $1) })
        {
            leaves = known
            return .collection(whole: .sequence(whole, use), memberWise: nil, name: type.text)
        }
        return .collection(whole: .sequence(whole, use), memberWise: memberWise, name: type.text)
    }

    private mutating func map(_ type: CxxType, headed: Bool) throws(InputError) -> Recipe {
        let first = leaves.count
        let (pair, use) = try varying { (me) throws(InputError) in
            .several([
                try me.within("0") { (me) throws(InputError) in try me.value(type.arguments[0], headed: false) },
                try me.within("1") { (me) throws(InputError) in try me.value(type.arguments[1], headed: false) },
            ])
        }
        guard headed else { return .sequence(pair, use) }
        leaves.removeSubrange(first...)
        var parts: [Recipe] = []
        let (_, columnUse) = try varying { (me) throws(InputError) in
            for (index, argument) in type.arguments.prefix(2).enumerated() {
                parts.append(try me.within(String(index)) { (me) throws(InputError) in try me.perItem(argument) })
            }
            return .several([])
        }
        return .collection(
            whole: .sequence(pair, use), memberWise: .columns(version: 0, parts, columnUse), name: type.text)
    }

    /// One member of all items: a collection or text has its header once, before the first.
    private mutating func perItem(_ type: CxxType) throws(InputError) -> Recipe {
        let body = try value(type, headed: false)
        let isCollection =
            type.name == "string" || CxxType.sequences.contains(type.name) || CxxType.maps.contains(type.name)
        return isCollection ? .headedForEachItem(body) : .forEachItem(body)
    }

    private mutating func columns(_ item: CxxType) throws(InputError) -> Recipe {
        guard !item.isPointer, let layout = catalog.latest(item.text) else {
            throw InputError(.unsupported, "no member-wise form")
        }
        var parts: [Recipe] = []
        let (_, use) = try varying { (me) throws(InputError) in
            try me.memberColumns(layout, &parts)
            return .several([])
        }
        return .columns(version: layout.version, parts, use)
    }

    /// The members of all items, one member after another; a base class's members stand among them.
    private mutating func memberColumns(_ layout: ClassLayout, _ parts: inout [Recipe]) throws(InputError) {
        depth += 1
        defer { depth -= 1 }
        guard depth < 32 else { throw InputError(.unsupported, "classes nest too deep") }
        registers.append([:])
        defer { registers.removeLast() }
        for element in layout.elements where element.type >= 0 && element.type < 1000 {
            if element.isCollection, element.arrayLength == 0 {
                parts.append(
                    try within(element.name) { (me) throws(InputError) in try me.perItem(CxxType(element.typeName)) })
            } else if element.type == 0, element.name != "TObject", element.name != "TNamed",
                let base = catalog.latest(element.name)
            {
                try memberColumns(base, &parts)
            } else {
                parts.append(.forEachItem(try member(element)))
            }
        }
    }

    // MARK: Classes

    /// Compiles an object of a class.
    /// - Parameter base: whether it is a base of the class being compiled, whose arrays may be counted by its members.
    mutating func object(_ type: CxxType, base: Bool = false) throws(InputError) -> Recipe {
        try step()
        depth += 1
        defer { depth -= 1 }
        guard depth < 32 else { throw InputError(.unsupported, "classes nest too deep at \(type.text)") }
        if let special = try builtin(type) { return special }
        guard let layout = catalog.latest(type.text) else {
            if type.name == "pair", type.arguments.count == 2 { return try pair(type) }
            throw InputError(.unsupported, "the file does not describe the class \(type.text)")
        }
        let counters = Set(layout.elements.map(\.countName)).subtracting([""])
        registers.append(base ? registers.last ?? [:] : [:])
        defer { registers.removeLast() }
        for name in counters.sorted() where registers[registers.count - 1][name] == nil {
            registers[registers.count - 1][name] = registerCount
            registerCount += 1
        }
        let outer = owner
        owner = type.text
        defer { owner = outer }
        var parts: [Recipe] = []
        var complete = true
        for element in layout.elements where element.type >= 0 && element.type < 1000 {
            do throws(InputError) {
                parts.append(try member(element))
            } catch {
                if error.code == .limit { throw error }
                // What follows an unreadable member cannot be found; the object's end can.
                path.append(element.name)
                markUnsupported(
                    element.typeName,
                    "\(error.message) (in \(type.text)::\(element.name)); members behind it are not reached")
                path.removeLast()
                complete = false
                break
            }
        }
        return .object(
            name: type.text, version: layout.version, checksum: layout.checksum, .several(parts), complete: complete)
    }

    private mutating func pair(_ type: CxxType) throws(InputError) -> Recipe {
        let parts: [Recipe] = [
            try within("first") { (me) throws(InputError) in try me.value(type.arguments[0], headed: true) },
            try within("second") { (me) throws(InputError) in try me.value(type.arguments[1], headed: true) },
        ]
        return .object(name: type.text, version: -1, checksum: 0, .several(parts), complete: true)
    }

    /// Classes whose form is fixed in ROOT's own code.
    private mutating func builtin(_ type: CxxType) throws(InputError) -> Recipe? {
        let name = type.name
        switch name {
        case "TMatrixTSym": return try symmetricMatrix(type.arguments.first?.name == "float" ? .float32 : .float64)
        case "TObject": return .rootObject
        case "TString": return text(name)
        case "TRef":
            return .several([
                .skip(2), try within("ref") { (me) throws(InputError) in me.number(.plain(.uint32), "UInt_t") },
                .skip(6),
            ])
        case "TRefArray":
            let register = registerCount
            registerCount += 1
            let label = try within("fName") { (me) throws(InputError) in me.text("TString") }
            let size: Recipe = try within("fSize") { (me) throws(InputError) in
                .counter(.plain(.int32), leaf: me.leaf(.int32, "Int_t"), register: register)
            }
            let references: Recipe = try within("refs") { (me) throws(InputError) in
                let (item, use) = try me.varying { (me) throws(InputError) in me.number(.plain(.int32), "Int_t") }
                return .counted(register: register, flagged: false, item, use)
            }
            return .headed(.several([.rootObject, label, size, .skip(6), references]))
        case "TNamed":
            let names = try ["fName", "fTitle"].map { (name) throws(InputError) in
                try within(name) { (me) throws(InputError) in me.text("TString") }
            }
            return .headed(.several([.rootObject] + names))
        case "TArrayC", "TArrayS", "TArrayI", "TArrayL", "TArrayL64", "TArrayF", "TArrayD":
            let types: [Substring: DataType] = [
                "C": .int8, "S": .int16, "I": .int32, "L": .int64, "L64": .int64, "F": .float32, "D": .float64,
            ]
            let element = types[name.dropFirst(6)]!
            let (item, use) = try varying { (me) throws(InputError) in me.number(.plain(element), element.name) }
            return .sequence(item, use)
        case "TClonesArray", "TObjArray", "TList", "THashList", "TMap", "TCollection", "TSeqCollection", "TArray":
            throw InputError(.unsupported, "a \(name) holds objects of any class and is not read as numbers")
        default: return nil
        }
    }

    /// TMatrixTSym: its base, then the upper triangle.
    private mutating func symmetricMatrix(_ element: DataType) throws(InputError) -> Recipe {
        let rows = registerCount
        registerCount += 1
        var parts: [Recipe] = [.rootObject]
        let members: [(String, DataType)] = [
            ("fNrows", .int32), ("fNcols", .int32), ("fRowLwb", .int32), ("fColLwb", .int32), ("fNelems", .uint32),
            ("fNrowIndex", .int32), ("fTol", element),
        ]
        for (name, type) in members {
            parts.append(
                try within(name) { (me) throws(InputError) in
                    let leaf = me.leaf(type, type.name)
                    return name == "fNrows"
                        ? .counter(.plain(type), leaf: leaf, register: rows) : .number(.plain(type), leaf: leaf)
                })
        }
        let triangle: Recipe = try within("fElements") { (me) throws(InputError) in
            let (item, use) = try me.varying { (me) throws(InputError) in me.number(.plain(element), element.name) }
            return .triangle(register: rows, item, use)
        }
        return .several([.headed(.several(parts)), triangle])
    }

    // MARK: Members

    /// A data member or base class.
    mutating func member(_ element: StreamerElement) throws(InputError) -> Recipe {
        try step()
        switch element.type {
        case 0: return element.name == "TObject" ? .rootObject : try object(CxxType(element.name), base: true)
        case 66 where element.typeName == "BASE" || element.isBase: return .rootObject
        case 67 where element.typeName == "BASE" || element.isBase: return try object(CxxType("TNamed"))
        default: return try within(element.name) { (me) throws(InputError) in try me.named(element) }
        }
    }

    private mutating func named(_ element: StreamerElement) throws(InputError) -> Recipe {
        if element.isCollection {
            let type = CxxType(element.typeName)
            guard element.arrayLength > 0 else { return try value(type, headed: true) }
            return .headed(
                try fixed(element.dimensions) { (me) throws(InputError) in try me.value(type, headed: false) })
        }
        let type = element.type
        switch type {
        case 41...59: return try counted(element)
        case 21...39, 81...89:
            var single = element
            single.type -= 20
            return try fixed(element.dimensions) { (me) throws(InputError) in try me.single(single) }
        default: return try single(element)
        }
    }

    /// A member that is a branch of its own: its name is the branch's.
    mutating func alone(_ element: StreamerElement, flattened: Bool = false) throws(InputError) -> Recipe {
        if element.type == 0 { return element.name == "TObject" ? .rootObject : try object(CxxType(element.name)) }
        var element = element
        if flattened, element.dimensions.count > 1 { element.dimensions = [element.arrayLength] }
        // An array of one is no level of its own there.
        if flattened, element.arrayLength == 1, element.type < 40, element.type > 20 {
            (element.type, element.dimensions) = (element.type - 20, [])
        }
        guard (41...59).contains(element.type) else { return try named(element) }
        // Its count is another branch; its items reach to the entry's end.
        element.type -= 40
        let (item, use) = try varying { (me) throws(InputError) in try me.single(element) }
        return .several([.skip(1), .toEnd(item, use)])
    }

    /// The leaves of one branch, one after another, where some vary.
    mutating func leafList(_ leaves: [(name: String, reading: LeafReading)]) throws(InputError) -> Recipe {
        registers.append([:])
        defer { registers.removeLast() }
        for name in Set(leaves.compactMap(\.reading.counter)) {
            registers[0][name] = registerCount
            registerCount += 1
        }
        var parts: [Recipe] = []
        for (name, reading) in leaves {
            parts.append(try within(name) { (me) throws(InputError) in try me.leafPart(name, reading) })
        }
        return .several(parts)
    }

    private mutating func leafPart(_ name: String, _ reading: LeafReading) throws(InputError) -> Recipe {
        if reading.isText { return text(reading.typeName) }
        func items(_ me: inout Self) throws(InputError) -> Recipe {
            guard !reading.dimensions.isEmpty else { return me.number(reading.encoding, reading.typeName) }
            return try me.fixed(reading.dimensions) { (me) throws(InputError) in
                me.number(reading.encoding, reading.typeName)
            }
        }
        if let counter = reading.counter {
            guard let register = registers[0][counter], counted.contains(register) else {
                throw InputError(.unsupported, "a leaf beside others is counted by another branch")
            }
            let (item, use) = try varying(items)
            return .counted(register: register, flagged: false, item, use)
        }
        if let register = registers[0][name], reading.dimensions.isEmpty, !reading.encoding.type.isFloatingPoint {
            counted.insert(register)
            return .counter(reading.encoding, leaf: leaf(reading.encoding.type, reading.typeName), register: register)
        }
        return try items(&self)
    }

    private mutating func counted(_ element: StreamerElement) throws(InputError) -> Recipe {
        guard let register = registers.last?[element.countName], counted.contains(register) else {
            throw InputError(
                .unsupported,
                "the array \(element.name) is counted by \(element.countName), which is no member beside it")
        }
        var single = element
        single.type -= 40
        let (item, use) = try varying { (me) throws(InputError) in try me.single(single) }
        return .counted(register: register, flagged: true, item, use)
    }

    private mutating func single(_ element: StreamerElement) throws(InputError) -> Recipe {
        if let encoding = element.encoding {
            if element.type == 15 { return .bits(leaf: leaf(.uint32, element.typeName)) }
            let index = leaf(encoding.type, element.typeName)
            if let register = registers.last?[element.name], !encoding.type.isFloatingPoint {
                counted.insert(register)
                return .counter(encoding, leaf: index, register: register)
            }
            return .number(encoding, leaf: index)
        }
        switch element.type {
        case 7:
            levels.append(.varying)
            defer { levels.removeLast() }
            return .longText(leaf: leaf(.uint8, element.typeName, text: true))
        case 65: return text(element.typeName)
        case 61, 62, 63, 68: return try object(CxxType(element.typeName.filter { $0 != "*" }))
        case 66: return .rootObject
        case 67: return try object(CxxType("TNamed"))
        case 64, 69:
            markUnsupported(element.typeName, "a pointer (\(element.typeName)) is not a number")
            return .pointer
        default:
            throw InputError(.unsupported, "no reader for \(element.typeName) (streamer type \(element.type))")
        }
    }
}

extension StreamerElement {
    /// How the number is stored, where the element is one.
    var encoding: Encoding? {
        switch type % 20 {
        case _ where type >= 60: nil
        case 1: .plain(.int8)
        case 2: .plain(.int16)
        case 3: .plain(.int32)
        case 4, 16: .plain(.int64)
        case 5: .plain(.float32)
        case 6, 13, 15: .plain(.uint32)
        case 8: .plain(.float64)
        case 9: .packed(PackedReal(comment: title, double: true))
        case 10, 11: .plain(.uint8)
        case 12: .plain(.uint16)
        case 14, 17: .plain(.uint64)
        case 18: .plain(.bool)
        case 19: .packed(PackedReal(comment: title, double: false))
        default: nil
        }
    }
}
