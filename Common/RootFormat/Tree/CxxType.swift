import Columns
/// A C++ type name taken apart: `std::map<int,vector<float> >` is `map` of `int` and `vector<float>`.
struct CxxType: Equatable, Sendable {
    /// Without template arguments, `std::`, `const` and spaces.
    let name: String
    let arguments: [CxxType]
    let isPointer: Bool

    /// Nesting beyond 32 is damage: the rest stays one name.
    init(_ text: some StringProtocol, depth: Int = 0) {
        let whole = Self.trimmed(text)
        isPointer = whole.hasSuffix("*")
        var body =
            isPointer
            ? Self.trimmed(
                whole[
                    ..<(whole.lastIndex { $0 != "*" && $0 != " " }.map { whole.index(after: $0) } ?? whole.startIndex)])
            : whole
        for prefix in ["const ", "struct ", "class ", "enum "] where body.hasPrefix(prefix) {
            body = Self.trimmed(body.dropFirst(prefix.count))
        }
        guard depth < 32, body.hasSuffix(">"), let open = body.firstIndex(of: "<") else {
            name = Self.plain(body)
            arguments = []
            return
        }
        name = Self.plain(body[..<open])
        arguments = Self.split(body[body.index(after: open)...].dropLast()).map { CxxType($0, depth: depth + 1) }
    }

    /// As ROOT writes it in descriptions, without spaces and `std::`.
    var text: String {
        name + (arguments.isEmpty ? "" : "<" + arguments.map(\.text).joined(separator: ",") + ">")
            + (isPointer ? "*" : "")
    }

    private static func plain(_ text: some StringProtocol) -> String {
        let text = trimmed(text)
        return text.hasPrefix("std::") ? String(text.dropFirst(5)) : text
    }

    private static func trimmed(_ text: some StringProtocol) -> String {
        var text = Substring(text)
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return String(text)
    }

    /// Cut at the commas that lie in no inner brackets.
    private static func split(_ text: some StringProtocol) -> [String] {
        var parts = [""]
        var depth = 0
        for character in text {
            if character == "<" || character == "(" { depth += 1 }
            if character == ">" || character == ")" { depth -= 1 }
            if character == ",", depth == 0 { parts.append("") } else { parts[parts.count - 1].append(character) }
        }
        return parts
    }

    /// Names of numbers, as C++ and ROOT spell them.
    static let numbers: [String: Encoding] = [
        "bool": .plain(.bool), "Bool_t": .plain(.bool),
        "char": .plain(.int8), "Char_t": .plain(.int8), "signed char": .plain(.int8), "int8_t": .plain(.int8),
        "unsigned char": .plain(.uint8), "UChar_t": .plain(.uint8), "uint8_t": .plain(.uint8), "byte": .plain(.uint8),
        "Byte_t": .plain(.uint8),
        "short": .plain(.int16), "Short_t": .plain(.int16), "int16_t": .plain(.int16), "short int": .plain(.int16),
        "unsigned short": .plain(.uint16), "UShort_t": .plain(.uint16), "uint16_t": .plain(.uint16),
        "unsigned short int": .plain(.uint16),
        "int": .plain(.int32), "Int_t": .plain(.int32), "int32_t": .plain(.int32),
        "unsigned int": .plain(.uint32), "unsigned": .plain(.uint32), "UInt_t": .plain(.uint32),
        "uint32_t": .plain(.uint32),
        "long": .plain(.int64), "Long_t": .plain(.int64), "Long64_t": .plain(.int64), "long long": .plain(.int64),
        "int64_t": .plain(.int64),
        "unsigned long": .plain(.uint64), "ULong_t": .plain(.uint64), "ULong64_t": .plain(.uint64),
        "unsigned long long": .plain(.uint64),
        "uint64_t": .plain(.uint64), "size_t": .plain(.uint64),
        "float": .plain(.float32), "Float_t": .plain(.float32), "double": .plain(.float64),
        "Double_t": .plain(.float64),
        "Double32_t": .packed(.narrow(as: .float64)), "Float16_t": .packed(.truncated(bits: 12, as: .float32)),
    ]

    var number: Encoding? { isPointer || !arguments.isEmpty ? nil : Self.numbers[name] }

    static let sequences: Set<String> = [
        "vector", "list", "deque", "forward_list", "set", "multiset", "unordered_set", "unordered_multiset",
        "ROOT::VecOps::RVec", "ROOT::RVec",
    ]
    static let maps: Set<String> = ["map", "multimap", "unordered_map", "unordered_multimap"]

    var isMap: Bool { !isPointer && Self.maps.contains(name) && arguments.count >= 2 }
    /// A standard collection of items that may be objects: a string or a bitset is none.
    var isCollection: Bool { isMap || !isPointer && Self.sequences.contains(name) && !arguments.isEmpty }
}
