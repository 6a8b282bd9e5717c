/** Frequent English words: most vocabularies have each of them as one token. */
export const commonWords: readonly string[] = `
time year people way day man thing woman life child world school state family student group country problem hand
part place case week company system program question work government number night point home water room mother area
money story fact month lot right study book eye job word business issue side kind head house service friend father
power hour game line end member law car city community name president team minute idea body information back parent
face others level office door health person art war history party result change morning reason research girl guy
moment air teacher force education foot boy age policy music market sense nation plan college interest death
experience effect use class control field development role effort rate heart drug show leader light voice wife
police mind price report decision son view relation town road arm difference value building action season society
tax director position player record paper space ground form event official matter center couple site project
activity star table need court oil situation cost industry figure street image phone data picture practice piece
land product doctor wall patient worker news test movie north love step growth garden window river stone forest
island bridge engine letter summer winter paint silver golden yellow purple little large small early young important
public able good new first last long great own old high different national big black white free best better true
clear hard easy simple recent strong whole cold open red green blue warm quick bright quiet heavy gentle narrow wide
ready happy sure run make know take see come think look want give find tell ask seem feel try leave call keep let
begin help talk turn start play move like live believe hold bring happen write provide sit stand lose pay meet
include continue set learn lead understand watch follow stop create speak read allow add spend grow walk win offer
remember consider appear buy wait serve die send expect build stay fall cut reach kill remain suggest raise pass
sell require decide
`.trim().split(/\s+/)
