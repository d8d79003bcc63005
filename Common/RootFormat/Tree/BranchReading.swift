import Bytes
import Columns

/// What the columns of one TBranch are and how its entries give them.
struct BranchReading {
    struct Found {
        /// The leaf's or member's name, where the branch has several.
        var name: String?
        var typeName: String
        var content: BranchDescription.Content
        var layout: BranchStorage.Layout
        var counter: String?
    }

    private(set) var columns: [Found] = []
    /// False where the branch only holds others.
    private(set) var hasData = true
    /// The branch of a split collection: its own data are the number of items.
    private(set) var isCounter = false

    /// - Parameter itemClass: of a TClonesArray that is not split: the class that its entries name.
    init(_ branch: StreamedObject, catalog: StreamerCatalog, itemClass: String? = nil) {
        let leaves = branch.list("fLeaves")
        let counter =
            leaves.first?.object("fLeafCount")?.string("fName") ?? branch.object("fBranchCount")?.string("fName")
        do {
            switch branch.className {
            case "TBranchElement": try element(branch, catalog)
            case "TBranchObject": try object(branch, catalog, itemClass)
            default: try plain(branch, leaves)
            }
        } catch {
            let type =
                branch.className == "TBranch" ? leaves.first?.className ?? "no leaf" : branch.string("fClassName")
            columns = [unsupported(type, error.message)]
        }
        for index in columns.indices where columns[index].counter == nil {
            if case .numbers(_, let shape) = columns[index].content, shape.isJagged { columns[index].counter = counter }
        }
    }

    private func unsupported(_ typeName: String, _ reason: String, name: String? = nil) -> Found {
        Found(
            name: name, typeName: typeName, content: .unsupported(reason: reason),
            layout: .counted(header: 0, .plain(.uint8)))
    }

    // MARK: Plain leaves

    private mutating func plain(_ branch: StreamedObject, _ leaves: [StreamedObject]) throws(InputError) {
        if leaves.isEmpty { hasData = false }
        let readings = leaves.map { LeafReading($0, branchTitle: branch.string("fTitle")) }
        let several = leaves.count > 1
        guard !readings.contains(where: { $0.isText || $0.counter != nil }) || !several else {
            return try varying(leaves, readings)
        }
        let entrySize = readings.reduce(0) { $0 + $1.byteSize }
        var offset = 0
        for (leaf, reading) in zip(leaves, readings) {
            let name = several ? leaf.string("fName") : nil
            if let reason = reading.reason ?? readings.first(where: { $0.reason != nil })?.reason {
                columns.append(unsupported(reading.typeName, reason, name: name))
            } else if reading.isText {
                var compiler = RecipeCompiler(catalog: StreamerCatalog())
                let recipe = compiler.text("char*")
                add(compiler.finish(recipe))
            } else if reading.counter != nil {
                columns.append(
                    Found(
                        name: name, typeName: reading.typeName,
                        content: .numbers(reading.encoding.type, .jagged(inner: reading.dimensions)),
                        layout: .counted(header: 0, reading.encoding), counter: reading.counter))
            } else {
                columns.append(
                    Found(
                        name: name, typeName: reading.typeName,
                        content: .numbers(reading.encoding.type, .fixed(reading.dimensions)),
                        layout: .fixed(offset: offset, entrySize: entrySize, reading.encoding)))
                offset += reading.byteSize
            }
        }
    }

    /// Several leaves of which some vary: each after the other, counted by one before it.
    private mutating func varying(_ leaves: [StreamedObject], _ readings: [LeafReading]) throws(InputError) {
        if let reason = readings.first(where: { $0.reason != nil })?.reason { throw InputError(.unsupported, reason) }
        var compiler = RecipeCompiler(catalog: StreamerCatalog())
        let recipe = try compiler.leafList(zip(leaves, readings).map { ($0.string("fName"), $1) })
        add(compiler.finish(recipe))
    }

    // MARK: Objects

    private mutating func object(
        _ branch: StreamedObject, _ catalog: StreamerCatalog, _ itemClass: String?
    ) throws(InputError) {
        let name = branch.string("fClassName")
        var compiler = RecipeCompiler(catalog: catalog)
        let body: Recipe
        if let itemClass { body = try compiler.clones(itemClass) } else { body = try compiler.object(CxxType(name)) }
        add(compiler.finish(.named(name: name, body)))
    }

    private mutating func element(_ branch: StreamedObject, _ catalog: StreamerCatalog) throws(InputError) {
        let kind = branch.integer("fType")
        let id = Int(branch.integer("fID"))
        let className = branch.string("fClassName")
        if kind == 3 || kind == 4 {
            // The data are counts; members give the same. Only TClonesArray's are listed, as readers of the field do.
            isCounter = kind == 3
            hasData = kind == 3
            columns = [
                Found(
                    typeName: "Int_t", content: .numbers(.int32, .flat),
                    layout: .fixed(offset: 0, entrySize: 4, .plain(.int32)))
            ]
            return
        }
        if kind == 1 || kind == 2 { hasData = false }
        let layout = catalog.layout(
            className, version: Int(branch.integer("fClassVersion")),
            checksum: UInt32(truncatingIfNeeded: branch.integer("fCheckSum")))
        var compiler = RecipeCompiler(catalog: catalog)
        if id < 0 {
            let type = CxxType(className)
            // A string of its own has no header.
            let body = try compiler.value(type, headed: type.name != "string")
            // An object that its class's Streamer wrote has a version before it. TBranchElement marks such a branch by
            // a negative type; what it streams by itself begins with the first member.
            guard kind >= 0, case .object = body else { return add(compiler.finish(body)) }
            compiler = RecipeCompiler(catalog: catalog)
            let members = try compiler.membersAlone(type, layout)
            return add(compiler.finish(members))
        }
        let member = try Self.element(
            id, className, branch.string("fName"), layout, streamerType: Int(branch.integer("fStreamerType")))
        let body = kind == 31 || kind == 41 ? try compiler.itemsOf(member) : try compiler.alone(member)
        add(compiler.finish(body))
    }

    /// The member that a branch is for: by its number, checked by its name.
    private static func element(
        _ id: Int, _ className: String, _ branchName: String, _ layout: ClassLayout?, streamerType: Int
    ) throws(InputError) -> StreamerElement {
        guard let elements = layout?.elements, !elements.isEmpty else {
            let type = CxxType(className)
            if type.name == "pair", type.arguments.count == 2, id < 2 {
                return .ofPair(type, id)
            }
            throw InputError(.unsupported, "the file does not describe the class \(className)")
        }
        let bare = branchName.prefix { $0 != "[" }
        func fits(_ element: StreamerElement) -> Bool {
            let name = element.name.prefix { $0 != "[" }
            return bare == name || bare.hasSuffix("." + name)
        }
        if id < elements.count, fits(elements[id]) || elements[id].type == streamerType { return elements[id] }
        if let named = elements.first(where: fits) { return named }
        throw InputError(.unsupported, "the class \(className) has no member for this branch")
    }

    /// Adds a recipe's columns, in a plainer form where there is one.
    private mutating func add(_ recipe: BranchRecipe) {
        let several = recipe.leaves.count > 1
        if recipe.leaves.isEmpty { hasData = false }
        for (index, leaf) in recipe.leaves.enumerated() {
            let name = several || !leaf.path.isEmpty ? leaf.path : nil
            guard leaf.reason == nil else {
                columns.append(unsupported(leaf.typeName, leaf.reason!, name: name))
                continue
            }
            let content: BranchDescription.Content = leaf.isText ? .text(leaf.shape) : .numbers(leaf.type, leaf.shape)
            columns.append(
                Found(
                    name: name == "" ? nil : name, typeName: leaf.typeName, content: content,
                    layout: several
                        ? .recipe(recipe, leaf: index) : recipe.body.plainLayout ?? .recipe(recipe, leaf: index)))
        }
    }
}

extension Recipe {
    /// The recipe of a branch with one column as a fixed or counted layout, which is read in bulk.
    fileprivate var plainLayout: BranchStorage.Layout? {
        func numbers(_ recipe: Recipe) -> (encoding: Encoding, count: Int)? {
            if case .number(let encoding, _) = recipe { return (encoding, 1) }
            if case .fixed(let count, .number(let encoding, _)) = recipe { return (encoding, count) }
            return nil
        }
        if case .toEnd(let item, _) = self { return numbers(item).map { .counted(header: 0, $0.encoding) } }
        if case .several(let parts) = self {
            guard parts.count == 2, case .skip(1) = parts[0], case .toEnd(.number(let encoding, _), _) = parts[1] else {
                return nil
            }
            return .counted(header: 1, encoding)
        }
        if case .collection(.sequence(.number(let encoding, _), _), _, _) = self {
            return .counted(header: 10, encoding)
        }
        return numbers(self).map { .fixed(offset: 0, entrySize: $0.encoding.size * $0.count, $0.encoding) }
    }
}

extension StreamerElement {
    fileprivate static func ofPair(_ type: CxxType, _ index: Int) -> StreamerElement {
        let argument = type.arguments[index]
        let isClass = argument.number == nil
        return StreamerElement(
            name: index == 0 ? "first" : "second", title: "", type: isClass ? 61 : 3, arrayLength: 0,
            typeName: argument.text,
            isCollection: argument.name == "string" || CxxType.sequences.contains(argument.name)
                || CxxType.maps.contains(argument.name))
    }
}
