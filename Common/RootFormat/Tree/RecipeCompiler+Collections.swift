import Bytes
import Columns

/// How many objects a member is read of, one after another.
enum Repetition {
    /// The member of one object.
    case once
    /// The member of all items of the member-wise collection that it lies in.
    case forEachItem
    /// The member of items up to the entry's end: the branch of a member of a split collection.
    case toEnd
}

extension RecipeCompiler {
    /// Compiles a value that is read again for each object.
    mutating func spread(_ repetition: Repetition, _ body: Part) throws(InputError) -> Recipe {
        switch repetition {
        case .once: return try body(&self)
        case .forEachItem: return .forEachItem(try body(&self))
        case .toEnd:
            let (item, use) = try varying(body)
            return .toEnd(item, use)
        }
    }

    /// Items behind their count, one after another; the collection itself has no header.
    mutating func sequence(_ type: CxxType) throws(InputError) -> Recipe {
        let (item, use) = try varying { (me) throws(InputError) in
            guard type.isMap else { return try me.value(type.arguments[0], headed: false) }
            return .several([
                try me.within("0") { (me) throws(InputError) in try me.value(type.arguments[0], headed: false) },
                try me.within("1") { (me) throws(InputError) in try me.value(type.arguments[1], headed: false) },
            ])
        }
        return .sequence(item, use)
    }

    /// Collections behind one header, which shows whether all of them lie item by item or member by member.
    /// - Parameter dimensions: of an array of collections.
    mutating func collection(
        _ type: CxxType, _ dimensions: [Int] = [], _ repetition: Repetition = .once
    ) throws(InputError) -> Recipe {
        if type.arguments.contains(where: { isOpen($0) }) {
            markUnsupported(type.text, "a \(type.text) inside an object of its items' class is not read")
            return .passed
        }
        let first = leaves.count
        let whole = try spread(repetition) { (me) throws(InputError) in
            try me.array(dimensions) { (me) throws(InputError) in try me.sequence(type) }
        }
        var version = 0
        let memberWise = try otherForm(since: first) { (me) throws(InputError) in
            try me.spread(repetition) { (me) throws(InputError) in
                try me.array(dimensions) { (me) throws(InputError) in
                    let (found, body) = try me.columns(type)
                    version = found
                    return body
                }
            }
        }
        return .collection(
            whole: whole, memberWise: memberWise.map { .versioned(version: version, $0) }, name: type.text)
    }

    /// A TClonesArray that is a branch by itself: its entries name the class of its items.
    mutating func clones(_ itemClass: String) throws(InputError) -> Recipe {
        let type = CxxType(itemClass)
        guard let layout = catalog.latest(type.text) else {
            throw InputError(.unsupported, "the file does not describe the class \(type.text)")
        }
        let first = leaves.count
        let (whole, use) = try varying { (me) throws(InputError) in try me.object(type) }
        let memberWise = try otherForm(since: first) { (me) throws(InputError) in
            var parts: [Recipe] = []
            _ = try me.varying { (me) throws(InputError) in
                try me.memberColumns(type, layout, &parts)
                return .several([])
            }
            return .several(parts)
        }
        return .clones(of: "\(type.text);\(layout.version)", whole: whole, memberWise: memberWise, use)
    }

    /// Another form of what was compiled since the leaf `first`, which gives the same leaves; nil where there is none.
    private mutating func otherForm(since first: Int, _ body: Part) throws(InputError) -> Recipe? {
        let known = Array(leaves[first...])
        leaves.removeSubrange(first...)
        var other: Recipe?
        do throws(InputError) { other = try body(&self) } catch { if error.code == .limit { throw error } }
        let found = leaves[first...]
        if other != nil, found.count == known.count, zip(found, known).allSatisfy({ $0.isSameColumn(as: $1) }) {
            return other
        }
        leaves.replaceSubrange(first..., with: known)
        return nil
    }

    /// A member that stands behind one header, whatever number of objects it is of: a collection, a string, an array
    /// of them, an array of TStrings or of TObjects.
    mutating func behindOneHeader(
        _ element: StreamerElement, _ repetition: Repetition
    ) throws(InputError) -> Recipe {
        let dimensions = element.arrayLength > 0 ? element.dimensions : []
        guard element.isCollection else {
            var single = element
            single.type -= 20
            return .headed(
                try spread(repetition) { (me) throws(InputError) in
                    try me.fixed(dimensions) { (me) throws(InputError) in try me.single(single) }
                })
        }
        let type = CxxType(element.typeName)
        if type.isCollection { return try collection(type, dimensions, repetition) }
        if case .once = repetition, dimensions.isEmpty { return try value(type, headed: true) }
        return .headed(
            try spread(repetition) { (me) throws(InputError) in
                try me.array(dimensions) { (me) throws(InputError) in try me.value(type, headed: false) }
            })
    }

    /// An array, or one value where there are no dimensions.
    private mutating func array(_ dimensions: [Int], _ item: Part) throws(InputError) -> Recipe {
        dimensions.isEmpty ? try item(&self) : try fixed(dimensions, item)
    }

    /// The items of a collection, one member of all of them after another.
    /// - Returns: the version of the items' class; 0 where any will do.
    private mutating func columns(_ type: CxxType) throws(InputError) -> (version: Int, Recipe) {
        let item = type.arguments[0]
        let layout = type.isMap || item.isPointer || item.isCollection ? nil : catalog.latest(item.text)
        var parts: [Recipe] = []
        let (_, use) = try varying { (me) throws(InputError) in
            if type.isMap {
                for (index, argument) in type.arguments.prefix(2).enumerated() {
                    parts.append(try me.within(String(index)) { (me) throws(InputError) in try me.column(argument) })
                }
            } else if let layout {
                try me.memberColumns(item, layout, &parts)
            } else {
                throw InputError(.unsupported, "no member-wise form")
            }
            return .several([])
        }
        return (layout?.version ?? 0, .columns(parts, use))
    }

    /// The keys or values of all items of a map.
    private mutating func column(_ type: CxxType) throws(InputError) -> Recipe {
        if type.isCollection { return try collection(type, [], .forEachItem) }
        let body = try value(type, headed: false)
        return type.name == "string" ? .headed(.forEachItem(body)) : .forEachItem(body)
    }

    /// The members of all items, one member after another; a base class's members stand among them.
    mutating func memberColumns(
        _ type: CxxType, _ layout: ClassLayout, _ parts: inout [Recipe]
    ) throws(InputError) {
        try step()
        registers.append([:])
        defer { registers.removeLast() }
        var own: [Recipe] = []
        try entering(type) { (me) throws(InputError) in
            for element in layout.elements where element.type >= 0 && element.type < 1000 {
                if element.hasOneHeader {
                    own.append(
                        try me.within(element.name) { (me) throws(InputError) in
                            try me.behindOneHeader(element, .forEachItem)
                        })
                } else if element.type == 0, element.name != "TObject", element.name != "TNamed",
                    let base = me.catalog.latest(element.name)
                {
                    try me.memberColumns(CxxType(element.name), base, &own)
                } else {
                    own.append(.forEachItem(try me.member(element)))
                }
            }
        }
        parts += own
    }

    /// The entries of a branch that holds a member of every item of a collection.
    mutating func itemsOf(_ element: StreamerElement) throws(InputError) -> Recipe {
        if element.hasOneHeader { return try behindOneHeader(element, .toEnd) }
        guard !(41...59).contains(element.type), !element.isLoop else {
            throw InputError(
                .unsupported,
                "an array with a count of its own for each item of a collection (\(element.name)) is not read")
        }
        return try spread(.toEnd) { (me) throws(InputError) in try me.alone(element, flattened: true) }
    }
}

extension StreamerElement {
    /// Whether one header stands before the member, of however many objects it is read: a standard collection or
    /// string, or an array of them, of TString, TObject or TNamed.
    var hasOneHeader: Bool { isCollection || (85...87).contains(type) }

    /// Whether it is a pointer to objects that another member counts.
    var isLoop: Bool { type == 501 || type == 521 }
}
