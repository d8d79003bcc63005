import Bytes
import Columns

extension RecipeCompiler {
    /// Classes whose form is fixed in ROOT's own code.
    mutating func builtin(_ type: CxxType) throws(InputError) -> Recipe? {
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
            let register = newRegister()
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
        let rows = newRegister()
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
}
