/// Layouts of the classes that make up a tree, for files that do not carry them: some writers leave them out.
///
/// Written as `name:type`, with the streamer type's number; `*` before a name is a base class, `name:type:counter` a
/// counted array.
enum BuiltinStreamers {
    static func elements(_ name: String, version: Int) -> [StreamerElement]? {
        guard let text = layouts[name]?.first(where: { $0.versions.contains(version) })?.text else { return nil }
        return text.split(separator: " ").map(element)
    }

    private static func element(_ word: Substring) -> StreamerElement {
        if word.hasPrefix("*") {
            return StreamerElement(name: String(word.dropFirst()), title: "", type: 0, arrayLength: 0, typeName: "BASE")
        }
        let parts = word.split(separator: ":").map(String.init)
        var element = StreamerElement(name: parts[0], title: "", type: 0, arrayLength: 0, typeName: "")
        if let number = Int(parts[1]) {
            element.type = number
            element.countName = parts.count > 2 ? parts[2] : ""
        } else {
            // A class: held by value, or by pointer with a star.
            element.type = parts[1].hasSuffix("*") ? 64 : 61
            element.typeName = parts[1]
        }
        return element
    }

    private struct Layout {
        var versions: ClosedRange<Int>
        var text: String
    }

    private static let layouts: [String: [Layout]] = [
        "TTree": [
            Layout(versions: 20...20, text: treeHead + "fIOFeatures:TIOFeatures " + treeTail),
            Layout(versions: 19...19, text: treeHead + treeTail),
        ],
        "TNtuple": [Layout(versions: 1...3, text: "*TTree fNvar:3")],
        "TNtupleD": [Layout(versions: 1...3, text: "*TTree fNvar:3")],
        "TBranch": [
            Layout(versions: 13...13, text: branchHead + "fIOFeatures:TIOFeatures " + branchTail),
            Layout(versions: 10...12, text: branchHead + branchTail),
        ],
        "TBranchElement": [
            Layout(
                versions: 9...10,
                text: """
                    *TBranch fClassName:65 fParentName:65 fClonesName:65 fCheckSum:13 fClassVersion:2 fID:3 fType:3 \
                    fStreamerType:3 fMaximum:3 fBranchCount:TBranchElement* fBranchCount2:TBranchElement*
                    """)
        ],
        "TLeaf": [
            Layout(
                versions: 1...2,
                text: "*TNamed fLen:3 fLenType:3 fOffset:3 fIsRange:18 fIsUnsigned:18 fLeafCount:TLeaf*")
        ],
        "TLeafElement": [Layout(versions: 1...1, text: "*TLeaf fID:3 fType:3")],
        "TLeafB": leaf(1), "TLeafS": leaf(2), "TLeafI": leaf(3), "TLeafL": leaf(16), "TLeafG": leaf(16),
        "TLeafF": leaf(5),
        "TLeafD": leaf(8), "TLeafO": leaf(18), "TLeafC": leaf(3),
        "TFriendElement": [Layout(versions: 1...2, text: "*TNamed fTreeName:65 fOwnFile:18")],
        "TAttLine": [Layout(versions: 1...2, text: "fLineColor:2 fLineStyle:2 fLineWidth:2")],
        "TAttFill": [Layout(versions: 1...2, text: "fFillColor:2 fFillStyle:2")],
        "TAttMarker": [Layout(versions: 1...3, text: "fMarkerColor:2 fMarkerStyle:2 fMarkerSize:5")],
        "TIOFeatures": [Layout(versions: 0...1, text: "fIOBits:11")],
        "ROOT::TIOFeatures": [Layout(versions: 0...1, text: "fIOBits:11")],
    ]

    private static func leaf(_ type: Int) -> [Layout] {
        [Layout(versions: 1...1, text: "*TLeaf fMinimum:\(type) fMaximum:\(type)")]
    }

    private static let treeHead = """
        *TNamed *TAttLine *TAttFill *TAttMarker fEntries:16 fTotBytes:16 fZipBytes:16 fSavedBytes:16 \
        fFlushedBytes:16 fWeight:8 fTimerInterval:3 fScanField:3 fUpdate:3 fDefaultEntryOffsetLen:3 fNClusterRange:6 \
        fMaxEntries:16 fMaxEntryLoop:16 fMaxVirtualSize:16 fAutoSave:16 fAutoFlush:16 fEstimate:16 \
        fClusterRangeEnd:56:fNClusterRange fClusterSize:56:fNClusterRange\u{20}
        """
    private static let treeTail = """
        fBranches:TObjArray fLeaves:TObjArray fAliases:TList* fIndexValues:TArrayD fIndex:TArrayI \
        fTreeIndex:TVirtualIndex* fFriends:TList* fUserInfo:TList* fBranchRef:TBranchRef*
        """
    private static let branchHead = """
        *TNamed *TAttFill fCompress:3 fBasketSize:3 fEntryOffsetLen:3 fWriteBasket:3 fEntryNumber:16\u{20}
        """
    private static let branchTail = """
        fOffset:3 fMaxBaskets:6 fSplitLevel:3 fEntries:16 fFirstEntry:16 fTotBytes:16 fZipBytes:16 \
        fBranches:TObjArray fLeaves:TObjArray fBaskets:TObjArray fBasketBytes:43:fMaxBaskets \
        fBasketEntry:56:fMaxBaskets fBasketSeek:56:fMaxBaskets fFileName:65
        """
}
