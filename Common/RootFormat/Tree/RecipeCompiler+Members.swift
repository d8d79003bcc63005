import Bytes
import Columns

extension RecipeCompiler {
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
        if element.hasOneHeader { return try behindOneHeader(element, .once) }
        let type = element.type
        switch type {
        case 41...59: return try counted(element)
        case 501: return try loop(element)
        case 82 where CxxType(element.typeName).isCollection:
            // An array of standard collections (std::array): none of them has a header.
            return try fixed(element.dimensions) { (me) throws(InputError) in
                try me.value(CxxType(element.typeName), headed: false)
            }
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
        // Its count is another branch; its items reach to the entry's end.
        if element.isLoop {
            let (item, use) = try varying { (me) throws(InputError) in try me.looped(element) }
            return .headed(.toEnd(item, use))
        }
        guard (41...59).contains(element.type) else { return try named(element) }
        element.type -= 40
        let (item, use) = try varying { (me) throws(InputError) in try me.single(element) }
        return .several([.skip(1), .toEnd(item, use)])
    }

    /// The leaves of one branch, one after another, where some vary: each with all of its items.
    mutating func leafList(_ leaves: [(name: String, reading: LeafReading)]) throws(InputError) -> Recipe {
        registers.append([:])
        defer { registers.removeLast() }
        for name in Set(leaves.compactMap(\.reading.counter)) {
            registers[0][name] = newRegister()
        }
        var parts: [Recipe] = []
        if let share = try commonCount(leaves) { parts.append(share) }
        for (name, reading) in leaves {
            parts.append(try within(name) { (me) throws(InputError) in try me.leafPart(name, reading) })
        }
        return .several(parts)
    }

    /// Where another branch counts the items of the leaves: their number follows from the entry's length.
    private mutating func commonCount(
        _ leaves: [(name: String, reading: LeafReading)]
    ) throws(InputError) -> Recipe? {
        let counters = Set(leaves.compactMap(\.reading.counter))
        guard !counters.isSubset(of: leaves.map(\.name)) else { return nil }
        guard counters.count == 1, let counter = counters.first, let register = registers[0][counter],
            !leaves.contains(where: \.reading.isText)
        else {
            throw InputError(
                .unsupported, "the leaves are counted by several others, of which some are not beside them")
        }
        counted.insert(register)
        let items = leaves.filter { $0.reading.counter != nil }
        return .share(
            register: register,
            each: items.reduce(0) { $0 + $1.reading.dimensions.reduce($1.reading.encoding.size, *) },
            fixed: leaves.reduce(0) { $0 + $1.reading.byteSize })
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

    /// Objects behind one header, as many as a member read before has as its value.
    private mutating func loop(_ element: StreamerElement) throws(InputError) -> Recipe {
        guard let register = registers.last?[element.countName], counted.contains(register) else {
            throw InputError(
                .unsupported,
                "the array \(element.name) is counted by \(element.countName), which is no member beside it")
        }
        let (item, use) = try varying { (me) throws(InputError) in try me.looped(element) }
        return .headed(.counted(register: register, flagged: false, item, use))
    }

    /// One of the objects that another member counts.
    private mutating func looped(_ element: StreamerElement) throws(InputError) -> Recipe {
        guard element.type == 501, !element.typeName.dropLast().hasSuffix("*") else {
            throw InputError(.unsupported, "pointers that another member counts (\(element.typeName)) are not read")
        }
        return try object(CxxType(element.typeName.filter { $0 != "*" }))
    }

    mutating func single(_ element: StreamerElement) throws(InputError) -> Recipe {
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
        case 7: return text(element.typeName, long: true)
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
