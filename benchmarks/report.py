"""stub"""
def write_report(found, missing, effort, out):
    out.mkdir(parents=True, exist_ok=True)
    for f in found: print(f.cell.subject, dict(f.cell.params), round(f.seconds,2), {k:(len(v), (sum(v)/len(v) if v else None)) for k,v in f.figures.items()})
