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
    var leaves: [RecipeLeaf] = []
    private var levels: [Shape.Level] = []
    private var path: [String] = []
    /// For each class being compiled, the registers of its members that count others.
    var registers: [[String: Int]] = []
    private var registerCount = 0
    private var depth = 0
    /// Types and members compiled; classes may hold each other so that their number explodes.
    private var steps = 0
    /// Counters that are read before what they count.
    var counted: Set<Int> = []
    /// The class being compiled.
    private var owner = ""
    /// The classes whose members are being compiled, outermost first.
    private var open: [String] = []

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

    mutating func leaf(_ type: DataType, _ typeName: String, text: Bool = false) -> Int {
        leaves.append(
            RecipeLeaf(
                path: path.joined(separator: "."), type: type, shape: Shape(levels), isText: text, typeName: typeName,
                owner: owner))
        return leaves.count - 1
    }

    mutating func number(_ encoding: Encoding, _ typeName: String) -> Recipe {
        .number(encoding, leaf: leaf(encoding.type, typeName))
    }

    /// Characters behind one byte of length, or four where they are a C string.
    mutating func text(_ typeName: String, long: Bool = false) -> Recipe {
        levels.append(.varying)
        defer { levels.removeLast() }
        let index = leaf(.uint8, typeName, text: true)
        return long ? .longText(leaf: index) : .text(leaf: index)
    }

    mutating func markUnsupported(_ typeName: String, _ reason: String) {
        leaves[leaf(.uint8, typeName)].reason = reason
    }

    /// A new register for a count that is read.
    mutating func newRegister() -> Int {
        registerCount += 1
        return registerCount - 1
    }

    /// Whether an object of the class is being compiled: it then holds others of its own class.
    func isOpen(_ type: CxxType) -> Bool { open.contains(type.text) }

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

    mutating func within(
        _ name: String, _ body: Part
    ) throws(InputError) -> Recipe {
        path.append(name)
        defer { path.removeLast() }
        return try body(&self)
    }

    mutating func step() throws(InputError) {
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
        case _ where type.isCollection: return headed ? try collection(type) : try sequence(type)
        default: return try object(type)
        }
    }

    // MARK: Classes

    /// Compiles an object of a class.
    /// - Parameters:
    ///   - base: whether it is a base of the class being compiled, whose arrays may be counted by its members.
    ///   - given: the layout, where it is not the newest that the file describes.
    mutating func object(
        _ type: CxxType, base: Bool = false, as given: ClassLayout? = nil
    ) throws(InputError) -> Recipe {
        try step()
        if let special = try builtin(type) { return special }
        guard let layout = given ?? catalog.latest(type.text) else {
            if type.name == "pair", type.arguments.count == 2 { return try pair(type) }
            throw InputError(.unsupported, "the file does not describe the class \(type.text)")
        }
        if let reason = reasonToPass(type, layout) {
            markUnsupported(type.text, reason)
            return .passed
        }
        let counters = Set(layout.elements.map(\.countName)).subtracting([""])
        registers.append(base ? registers.last ?? [:] : [:])
        defer { registers.removeLast() }
        for name in counters.sorted() where registers[registers.count - 1][name] == nil {
            registers[registers.count - 1][name] = newRegister()
        }
        let outer = owner
        owner = type.text
        defer { owner = outer }
        let (parts, complete) = try entering(type) { (me) throws(InputError) in try me.members(layout, type) }
        return .object(
            name: type.text, version: layout.version, checksum: layout.checksum, .several(parts), complete: complete)
    }

    /// The members of an object that is a branch's whole entry, without a version before them.
    mutating func membersAlone(_ type: CxxType, _ layout: ClassLayout?) throws(InputError) -> Recipe {
        let object = try object(type, as: layout)
        guard case .object(_, _, _, let members, let complete) = object else { return object }
        return complete ? members : .several([members, .rest])
    }

    /// Why an object's members are not compiled: it lies in another of its own class, without end, or its class is a
    /// collection whose items are described nowhere.
    private func reasonToPass(_ type: CxxType, _ layout: ClassLayout) -> String? {
        if isOpen(type) { return "an object of \(type.text) inside another is not read" }
        guard layout.elements.count == 1, layout.elements[0].name == "This",
            CxxType(layout.elements[0].typeName).text == type.text
        else { return nil }
        return "\(type.text) is a collection of a class of its own, which is not read"
    }

    /// Compiles what lies in an object of the class.
    mutating func entering<Result>(
        _ type: CxxType, _ body: (inout RecipeCompiler) throws(InputError) -> Result
    ) throws(InputError) -> Result {
        guard open.count < 32 else { throw InputError(.unsupported, "classes nest too deep at \(type.text)") }
        open.append(type.text)
        defer { open.removeLast() }
        return try body(&self)
    }

    /// The members of an object one after another, and whether all of them can be read.
    private mutating func members(
        _ layout: ClassLayout, _ type: CxxType
    ) throws(InputError) -> (parts: [Recipe], complete: Bool) {
        var parts: [Recipe] = []
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
                return (parts, false)
            }
        }
        return (parts, true)
    }

    private mutating func pair(_ type: CxxType) throws(InputError) -> Recipe {
        let parts: [Recipe] = [
            try within("first") { (me) throws(InputError) in try me.value(type.arguments[0], headed: true) },
            try within("second") { (me) throws(InputError) in try me.value(type.arguments[1], headed: true) },
        ]
        return .object(name: type.text, version: -1, checksum: 0, .several(parts), complete: true)
    }
}
